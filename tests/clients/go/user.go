// User calls with a user's sign-in whose access token has expired, and then with its refresh token once more.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	balance "balance.example/go"
	"balance.example/go/balancev1"
)

func main() {
	kept := 0
	client := signedIn(func(*balancev1.Token) { kept++ })
	defer client.Close()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := client.Users.GetMe(context.Background(), &balancev1.GetMeRequest{}); err != nil {
				log.Fatal(err)
			}
		})
	}
	group.Wait()
	fmt.Println("kept", kept)

	second := signedIn(nil)
	defer second.Close()
	for range 2 {
		_, err := second.Users.GetMe(context.Background(), &balancev1.GetMeRequest{})
		var refusal *balance.Refusal
		if !errors.As(err, &refusal) {
			log.Fatal("no refusal: ", err)
		}
		fmt.Println("ended", refusal.Reason)
	}
}

func signedIn(keep func(*balancev1.Token)) *balance.Client {
	signIn := &balancev1.Token{
		Token:            os.Getenv("TOKEN"),
		RefreshToken:     os.Getenv("REFRESH"),
		ExpiresInSeconds: 600,
		ExpireTime:       timestamppb.New(time.Now().Add(10 * time.Minute)),
	}
	who := balance.UserCredentials(signIn, keep)
	client, err := balance.NewClient(os.Getenv("TARGET"), balance.WithCredentials(who))
	if err != nil {
		log.Fatal(err)
	}
	return client
}
