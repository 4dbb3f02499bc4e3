// Doors calls a service in every way that gRPC has, and prints how each call ended.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	balance "balance.example/go"
	"balance.example/go/balancev1"
)

const (
	crowd     = 50
	transfers = 300
)

var anna, boris = os.Getenv("ANNA"), os.Getenv("BORIS")

func main() {
	log.SetFlags(0)
	attempts := &seen{}
	options := []balance.Option{
		balance.WithCredentials(balance.ServiceCredentials("billing", os.Getenv("SECRET"))),
		balance.WithLanguage("ru"),
		balance.WithDialOptions(grpc.WithChainUnaryInterceptor(attempts.interceptor)),
	}
	if file := os.Getenv("CA"); file != "" {
		options = append(options, balance.WithTLS(&tls.Config{RootCAs: authority(file)}))
	}
	client, err := balance.NewClient(os.Getenv("TARGET"), options...)
	check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	together(ctx, client)
	repeated(ctx, client, attempts)
	watched(ctx, client)
	streamed(ctx, client)
	refused(ctx, client)
	ended(ctx, client)
	paged(ctx, client)
	fresh(ctx, client)
}

func authority(file string) *x509.CertPool {
	pem, err := os.ReadFile(file)
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

// together makes many calls at once, which get in with one token.
func together(ctx context.Context, client *balance.Client) {
	var group sync.WaitGroup
	balances := make([]string, crowd)
	for number := range crowd {
		group.Go(func() { balances[number] = read(ctx, client) })
	}
	group.Wait()
	fmt.Println("together", len(balances), balances[crowd-1])
}

func read(ctx context.Context, client *balance.Client) string {
	account, err := client.Accounts.GetAccount(ctx, &balancev1.GetAccountRequest{Account: anna})
	check(err)
	return account.Balance
}

// repeated shows that a call without a request id gets one, and that the same id moves money once.
func repeated(ctx context.Context, client *balance.Client, attempts *seen) {
	request := &balancev1.CreateDepositRequest{Account: anna, Amount: "1"}
	_, err := client.Deposits.CreateDeposit(ctx, request)
	check(err)
	request.RequestId = attempts.last
	var trailer metadata.MD
	deposit, err := client.Deposits.CreateDeposit(ctx, request, grpc.Trailer(&trailer))
	check(err)
	fmt.Println("repeated", len(attempts.last), deposit.Balance, trailer.Get("idempotency-replayed"))
}

func watched(ctx context.Context, client *balance.Client) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching, err := client.Accounts.WatchAccount(ctx, &balancev1.WatchAccountRequest{Account: anna})
	check(err)
	first, err := watching.Recv()
	check(err)
	_, err = client.Deposits.CreateDeposit(ctx, &balancev1.CreateDepositRequest{Account: anna, Amount: "1"})
	check(err)
	second, err := watching.Recv()
	check(err)
	fmt.Println("watched", first.Balance, second.Balance)
}

// streamed sends transfers while it receives their outcomes; the last is refused.
func streamed(ctx context.Context, client *balance.Client) {
	stream, err := client.Transfers.StreamTransfers(ctx)
	check(err)
	go func() {
		for number := range transfers + 1 {
			amount := "0.01"
			if number == transfers {
				amount = "100000"
			}
			request := &balancev1.CreateTransferRequest{
				FromAccount: anna, ToAccount: boris, Amount: amount, RequestId: balance.NewRequestID(),
			}
			if err := stream.Send(request); err != nil {
				return // Recv tells why.
			}
		}
		check(stream.CloseSend())
	}()
	made := 0
	var refusal *balance.Refusal
	for {
		outcome, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		check(err)
		if outcome.GetTransfer() != nil {
			made++
		} else {
			refusal = balance.RefusalOf(outcome.GetError())
		}
	}
	fmt.Println("streamed", made, refusal.Reason, read(ctx, client))
}

func refused(ctx context.Context, client *balance.Client) {
	_, err := client.Accounts.GetAccount(ctx, &balancev1.GetAccountRequest{Account: "?"})
	var refusal *balance.Refusal
	if !errors.As(err, &refusal) {
		log.Fatal("no refusal: ", err)
	}
	translated := refusal.LocalizedMessage != refusal.Message
	fmt.Println("refused", refusal.Code, refusal.Reason, refusal.Violations[0].Field, translated)
	// Whoever knows gRPC alone reads the same.
	fmt.Println("status", status.Code(err), len(status.Convert(err).Details()))
}

// ended shows how a caller's deadline and a caller's own end look.
func ended(ctx context.Context, client *balance.Client) {
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	fmt.Println("deadline", endOf(short, client, func() {}))
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	fmt.Println("cancelled", endOf(cancelled, client, cancel))
}

func endOf(ctx context.Context, client *balance.Client, then func()) codes.Code {
	watching, err := client.Accounts.WatchAccount(ctx, &balancev1.WatchAccountRequest{Account: anna})
	check(err)
	for {
		if _, err = watching.Recv(); err != nil {
			return status.Code(err)
		}
		then()
	}
}

func paged(ctx context.Context, client *balance.Client) {
	request := &balancev1.ListEntriesRequest{Account: anna, PageSize: 100}
	count := 0
	for _, err := range balance.Each(
		ctx, client.Accounts.ListEntries, request, (*balancev1.ListEntriesResponse).GetEntries,
	) {
		check(err)
		count++
	}
	fmt.Println("paged", count)
}

// fresh reads what may be old but shows a movement, and then what the answer showed.
func fresh(ctx context.Context, client *balance.Client) {
	deposit, err := client.Deposits.CreateDeposit(ctx, &balancev1.CreateDepositRequest{Account: anna, Amount: "1"})
	check(err)
	// The later one holds: nothing may be staler than an hour.
	ctx = balance.MaxStaleness(balance.MaxStaleness(ctx, 2*time.Hour), 1500*time.Millisecond)
	var trailer metadata.MD
	for _, seen := range []func() string{
		func() string { return deposit.Id },
		func() string { return balance.FreshnessOf(trailer).Position },
	} {
		request := &balancev1.GetAccountRequest{Account: anna}
		account, err := client.Accounts.GetAccount(balance.AtLeast(ctx, seen()), request, grpc.Trailer(&trailer))
		check(err)
		told := balance.FreshnessOf(trailer)
		fmt.Println("fresh", account.Balance, told.Standby, told.AsOf.IsZero(), told.Position != "")
	}
	pairs := metadata.Pairs("balance-read-from", "standby", "balance-as-of", "2026-11-29T07:00:00.123Z")
	fmt.Println("told", balance.FreshnessOf(pairs))
}

// seen keeps the request id of the last deposit that was sent.
type seen struct{ last string }

func (s *seen) interceptor(
	ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if deposit, ok := request.(*balancev1.CreateDepositRequest); ok {
		s.last = deposit.RequestId
	}
	return invoke(ctx, method, request, reply, conn, options...)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
