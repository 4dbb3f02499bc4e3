// Renewed begins streams with a token that the service refuses, and prints how each began.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	balance "balance.example/go"
	"balance.example/go/balancev1"
)

func main() {
	who := balance.ServiceCredentials("billing", os.Getenv("SECRET"))
	client, err := balance.NewClient(os.Getenv("TARGET"), balance.WithCredentials(who))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, account := context.Background(), os.Getenv("ANNA")
	watching, err := client.Accounts.WatchAccount(ctx, &balancev1.WatchAccountRequest{Account: account})
	if err != nil {
		log.Fatal(err)
	}
	found, err := watching.Recv()
	fmt.Println("watched", found.GetBalance(), err)
	request := &balancev1.CreateTransferRequest{
		FromAccount: account, ToAccount: os.Getenv("BORIS"), Amount: "1", RequestId: balance.NewRequestID(),
	}
	for range 2 {
		stream, err := client.Transfers.StreamTransfers(ctx)
		if err != nil {
			log.Fatal(err)
		}
		_ = stream.Send(request) // Recv tells more.
		outcome, err := stream.Recv()
		fmt.Println("streamed", outcome.GetTransfer().GetBalance(), err)
	}
}
