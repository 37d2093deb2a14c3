package sender

import (
	"context"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// A Transport opens sessions with one server. Several goroutines may dial at the same time. Errors are *reply.Error.
type Transport interface {
	Dial(ctx context.Context) (Session, error)
}

// A Session carries messages to a server, over one connection or what stands for one. Each message goes through the
// same steps, in the order in which the messages are offered:
//
//	Offer   tells the session of the message. It may send the envelope, and all of the content but its last octet
//	Ready   reports whether the message is to be sent. False: it is refused, and its Answer says why
//	Send    sends what completes the message. The queue must know by then, durably, that the message is sending
//	Answer  returns what the server says to the oldest message that was sent or refused and not answered
//
// A message is in flight from Send, or its refusal by Ready, until its Answer. No more than Depth messages may be in
// flight. Ready may be called for a message that could be sent next, and may wait for the server. While a message is
// ready, the next one may be offered: at a Depth of 1 its envelope travels with the end of the ready one, so that a
// message costs one round trip.
//
// Errors are *reply.Error. The Explanation says what became of the message of this step, which has no other answer:
// InDoubt if its last octet may have left; else Retry, with the scope Session if the server had not seen the recipient.
// After an error, or when Broken, the session takes no more messages. Those in flight still have their Answer, as a
// server that closes has often answered before.
//
// A message must stay as it is from Offer until Send has returned or Ready has refused it. A session may be left at any
// time: a message that was not sent was not completed, and one that was sent and not answered is in doubt.
//
// A session belongs to one goroutine. Only Close may be called by another one, at any time and more than once. Whoever
// waits in another method then gets an error.
type Session interface {
	Depth() int // at least 1, and always the same
	Offer(m *mail.Message)
	Ready() (bool, error)
	Send() error
	Answer() (reply.Answer, error)
	Broken() bool
	Quit()  // closes politely, where no message is under way
	Close() // closes at once
}

// TransportOf makes a Transport of a Dialer, which need not know this package.
func TransportOf[S Session](d Dialer[S]) Transport { return transport[S]{d} }

// A Dialer opens sessions of a type of its own.
type Dialer[S Session] interface {
	Dial(ctx context.Context) (S, error)
}

type transport[S Session] struct{ Dialer[S] }

func (t transport[S]) Dial(ctx context.Context) (Session, error) {
	s, err := t.Dialer.Dial(ctx)
	if err != nil {
		return nil, err // and not an interface that holds no session
	}
	return s, nil
}
