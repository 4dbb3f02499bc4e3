// Waits makes a call that needs no token, which has to wait for a connection.
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
	client, err := balance.NewClient(os.Getenv("TARGET"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	found, err := client.Purchases.ListServices(context.Background(), &balancev1.ListServicesRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("found", len(found.Services))
}
