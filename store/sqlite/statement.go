package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// A statement is prepared once on the writer, and used without database/sql in between, whose conversions and locks cost
// more than the change of a row does. The caller holds Store.mu.
type statement struct {
	prepared queryStmt
	args     []driver.NamedValue
}

type queryStmt interface {
	driver.Stmt
	driver.StmtQueryContext
}

// statement prepares a query, or finds it prepared.
func (s *Store) statement(query string) (*statement, error) {
	if st := s.prepared[query]; st != nil {
		return st, nil
	}
	st := &statement{}
	err := s.writer.Raw(func(conn any) error {
		prepared, err := conn.(driver.Conn).Prepare(query)
		if err != nil {
			return err
		}
		st.prepared = prepared.(queryStmt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.prepared[query] = st
	return st, nil
}

// bind gives the arguments the types that the driver takes.
func (st *statement) bind(args []any) error {
	st.args = st.args[:0]
	for i, a := range args {
		switch v := a.(type) {
		case int:
			a = int64(v)
		case nil, int64, float64, string, []byte:
		default:
			return fmt.Errorf("argument %d is a %T", i+1, a)
		}
		st.args = append(st.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return nil
}

// exec runs a statement on the writer, prepared once.
//
// It runs as a query, because the driver binds and steps a query in one call of C. Otherwise it makes one call for each
// argument, and these calls took half of the time of a small change.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	st, err := s.statement(query)
	if err != nil {
		return err
	}
	if err := st.bind(args); err != nil {
		return err
	}
	rows, err := st.prepared.QueryContext(ctx, st.args)
	if err != nil {
		return err
	}
	switch err := rows.Next(nil); err {
	case io.EOF:
		return nil // it is through, and is reset when it is bound again
	case nil:
		return rows.Close()
	default:
		return errors.Join(err, rows.Close())
	}
}

// changes is exec, and returns how many rows were changed.
func (s *Store) changes(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := s.exec(ctx, query, args...); err != nil {
		return 0, err
	}
	return s.number(ctx, "SELECT changes()")
}

// totalChanges is how many rows were changed since the queue was opened.
func (s *Store) totalChanges(ctx context.Context) (int64, error) {
	return s.number(ctx, "SELECT total_changes()")
}

// number runs a query for one number.
func (s *Store) number(ctx context.Context, query string) (n int64, err error) {
	err = s.each(ctx, 1, func(row []driver.Value) error { n, _ = row[0].(int64); return nil }, query)
	return n, err
}

// each runs a query of so many columns on the writer, prepared once, and yields its rows. The values are valid until the
// next one.
func (s *Store) each(ctx context.Context, columns int, yield func([]driver.Value) error, query string, args ...any) (err error) {
	st, err := s.statement(query)
	if err != nil {
		return err
	}
	if err := st.bind(args); err != nil {
		return err
	}
	rows, err := st.prepared.QueryContext(ctx, st.args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, columns)
	for {
		switch err := rows.Next(values); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := yield(values); err != nil {
			return err
		}
	}
}
