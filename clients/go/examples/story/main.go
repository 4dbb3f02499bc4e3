// Story moves money through a running service, as a sibling service does, and prints what happens.
//
//	TARGET=127.0.0.1:50051 CLIENT_ID=shop SECRET=... ANNA=<user id> BORIS=<user id> go run ./examples/story
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	balance "balance.example/go"
	"balance.example/go/balancev1"
)

func main() {
	who := balance.ServiceCredentials(os.Getenv("CLIENT_ID"), os.Getenv("SECRET"))
	client, err := balance.NewClient(os.Getenv("TARGET"), balance.WithCredentials(who))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := tell(context.Background(), client); err != nil {
		log.Fatal(err)
	}
}

func tell(ctx context.Context, client *balance.Client) error {
	anna, err := open(ctx, client, os.Getenv("ANNA"))
	if err != nil {
		return err
	}
	boris, err := open(ctx, client, os.Getenv("BORIS"))
	if err != nil {
		return err
	}
	steps := []func(context.Context, *balance.Client, string, string) error{
		deposit, transfer, buy, hold, overdraw, list,
	}
	for _, step := range steps {
		if err := step(ctx, client, anna, boris); err != nil {
			return err
		}
	}
	return nil
}

func open(ctx context.Context, client *balance.Client, user string) (string, error) {
	request := &balancev1.CreateAccountRequest{User: user, Currency: "RUB"}
	account, err := client.Accounts.CreateAccount(ctx, request)
	return account.GetId(), err
}

// deposit sends one request twice, as after a lost answer: the second gets the first answer again.
func deposit(ctx context.Context, client *balance.Client, anna, _ string) error {
	request := &balancev1.CreateDepositRequest{
		Account: anna, Amount: "5000", Description: "Salary", RequestId: balance.NewRequestID(),
	}
	if _, err := client.Deposits.CreateDeposit(ctx, request); err != nil {
		return err
	}
	var trailer metadata.MD
	made, err := client.Deposits.CreateDeposit(ctx, request, grpc.Trailer(&trailer))
	if err != nil {
		return err
	}
	replayed := strings.Join(trailer.Get("idempotency-replayed"), "")
	fmt.Printf("deposit %s: balance %s, replayed %s\n", made.Amount, made.Balance, replayed)
	return nil
}

func transfer(ctx context.Context, client *balance.Client, anna, boris string) error {
	made, err := client.Transfers.CreateTransfer(ctx, &balancev1.CreateTransferRequest{
		FromAccount: anna, ToAccount: boris, Amount: "750.50", Description: "For the tickets",
	})
	if err == nil {
		fmt.Printf("transfer %s: balance %s\n", made.Amount, made.Balance)
	}
	return err
}

func buy(ctx context.Context, client *balance.Client, anna, _ string) error {
	offered := &balancev1.ListServicesRequest{Currency: "RUB"}
	services, err := client.Purchases.ListServices(ctx, offered)
	if err != nil {
		return err
	}
	bought, err := client.Purchases.CreatePurchase(ctx, &balancev1.CreatePurchaseRequest{
		Service: services.Services[0].Id, Account: anna,
	})
	if err != nil {
		return err
	}
	fmt.Printf("purchase %s: balance %s\n", bought.Amount, bought.Balance)
	refund, err := client.Purchases.RefundPurchase(ctx, &balancev1.RefundPurchaseRequest{
		Purchase: bought.Id, Reason: "Changed her mind",
	})
	if err == nil {
		fmt.Printf("refund %s: balance %s\n", refund.Amount, refund.Balance)
	}
	return err
}

func hold(ctx context.Context, client *balance.Client, anna, boris string) error {
	held, err := client.Holds.CreateHold(ctx, &balancev1.CreateHoldRequest{
		Account: anna, ToAccount: boris, Amount: "300", Description: "Deposit for the flat",
	})
	if err != nil {
		return err
	}
	account, err := client.Accounts.GetAccount(ctx, &balancev1.GetAccountRequest{Account: anna})
	if err != nil {
		return err
	}
	fmt.Printf("hold %s: available %s\n", held.Amount, account.Available)
	request := &balancev1.CaptureHoldRequest{Hold: held.Id, Amount: "120"}
	captured, err := client.Holds.CaptureHold(ctx, request)
	if err == nil {
		fmt.Printf("capture %s: balance %s\n", captured.Amount, captured.Balance)
	}
	return err
}

func overdraw(ctx context.Context, client *balance.Client, anna, boris string) error {
	_, err := client.Transfers.CreateTransfer(ctx, &balancev1.CreateTransferRequest{
		FromAccount: anna, ToAccount: boris, Amount: "100000",
	})
	var refusal *balance.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != balance.ReasonInsufficientFunds {
		return fmt.Errorf("an overdraft was not refused: %w", err)
	}
	fmt.Printf("refused %s: missing %s\n", refusal.Reason, refusal.Metadata["missing"])
	return nil
}

func list(ctx context.Context, client *balance.Client, anna, _ string) error {
	request := &balancev1.ListEntriesRequest{Account: anna, OrderBy: "date", PageSize: 2}
	entries := balance.Each(
		ctx, client.Accounts.ListEntries, request, (*balancev1.ListEntriesResponse).GetEntries,
	)
	for entry, err := range entries {
		if err != nil {
			return err
		}
		kind := strings.ToLower(strings.TrimPrefix(entry.Kind.String(), "MOVEMENT_KIND_"))
		fmt.Println(entry.Sequence, kind, entry.Amount, entry.BalanceAfter)
	}
	return nil
}
