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

// A Session carries messages to a server, over one connection or what stands for one, in the order in which they were offered. Each message
// goes through the same steps:
//
//	Offer   tells the session of the message. Its envelope may go out at once, or with whatever is written next
//	Ready   reports whether the message is to be sent. False: it was refused, nothing more of it leaves, and its Answer says why
//	Send    sends what completes the message. No server has its last octet before that, so the queue must know by then, durably, that it
//	        is sending
//	Answer  tells what the server said to the oldest message that was sent or refused and not told of yet
//
// No more than Depth messages may be sent and not told of. Ready is for when the message could be sent at once; it may wait for the server. One
// message more may be offered while the one before it is ready: with a Depth of 1 its envelope travels with the end of that one, so that a message
// costs a round trip.
//
// Errors are *reply.Error. Their Explanation says what became of the message of that step, which has no other answer: InDoubt after its last
// octet may have left; else Retry, of the scope Session when the server had not seen the recipient. After an error, or when Broken, the session
// takes no more messages, but those that were sent have their Answer, as a server that closes has often told of them.
//
// A message must stay as it is from Offer until Send has returned or Ready has refused it. A session may be left at any time: what was not sent was
// not completed, and what was sent and not told of is in doubt.
//
// A session belongs to one goroutine. Only Close may be called by others, at any time and more than once: whoever waits in another method then
// comes back with an error.
type Session interface {
	Depth() int // 1 or more; the same from beginning to end
	Offer(m *mail.Message)
	Ready() (bool, error)
	Send() error
	Answer() (reply.Answer, error)
	Broken() bool
	Quit()  // closes politely, where no message is under way
	Close() // closes at once
}

// TransportOf makes a Transport of a type whose sessions have a type of their own, so that it need not know this package.
func TransportOf[S Session](d Dialer[S]) Transport { return transport[S]{d} }

// A Dialer is a Transport whose sessions have a type of their own.
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
