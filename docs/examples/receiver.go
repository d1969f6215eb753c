// A receiver with Go's standard library. Each event becomes a file in ./inbox, once.
// Run it: WEBHOOK_SECRET=whsec_... go run receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance = 5 * time.Minute // that the clocks may differ, and that a request may be old
	longest   = 16 << 20        // bytes of a body
)

// Event is the body of a request, as far as this receiver reads it.
type Event struct {
	Type string `json:"type"`
	Data struct {
		UserID  string `json:"user_id"`
		Content any    `json:"content"`
	} `json:"data"`
}

// isGenuine verifies a request by Standard Webhooks: the signature, then the time that it covers.
func isGenuine(secret []byte, header http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", header.Get("webhook-id"), header.Get("webhook-timestamp"))
	mac.Write(body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	// There may be several, one for each secret of the relay: any one that matches is enough.
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), []byte(expected)) {
			seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
			return err == nil && time.Since(time.Unix(seconds, 0)).Abs() <= tolerance
		}
	}
	return false
}

// writeDown keeps an event; false if it was there already. Safe against a crash at any moment.
func writeDown(id string, body []byte) (bool, error) {
	draft, err := os.CreateTemp("inbox", "*.draft")
	if err != nil {
		return false, err
	}
	defer os.Remove(draft.Name())
	defer draft.Close()
	if _, err := draft.Write(body); err != nil {
		return false, err
	}
	if err := draft.Sync(); err != nil {
		return false, err
	}
	// Fails if there is such a file: the id is the message's.
	err = os.Link(draft.Name(), filepath.Join("inbox", id+".json"))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func main() {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(secret) == 0 {
		log.Fatal("expected WEBHOOK_SECRET=whsec_...")
	}
	if err := os.MkdirAll("inbox", 0o700); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/hooks/mixin", func(response http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(io.LimitReader(request.Body, longest))
		if err != nil || !isGenuine(secret, request.Header, body) {
			response.WriteHeader(http.StatusUnauthorized)
			return
		}
		isNew, err := writeDown(request.Header.Get("webhook-id"), body)
		if err != nil { // not written down: it comes again
			response.WriteHeader(http.StatusInternalServerError)
			return
		}
		var event Event
		json.Unmarshal(body, &event) // never fails on what the relay has signed

		if isNew && strings.HasPrefix(event.Type, "message.") { // relay.test is a test event
			fmt.Printf("%s: %v\n", event.Data.UserID, event.Data.Content)
		}
		response.WriteHeader(http.StatusNoContent)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/hooks/mixin\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
