package cli

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	// completions bounds what a shell is offered.
	completions = 200
	// patience bounds the wait for them: someone is at the keyboard.
	patience = time.Second
)

// finder looks for words that a shell may offer and gives each to offer, which returns false when it has enough.
type finder func(ctx context.Context, c *client, offer func(word string) bool)

// fixed completes words that never change; without words, nothing, not even files.
func fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// complete asks the control plane for completions. If it cannot be asked there are none: a shell must not show errors.
func (a *app) complete(find finder) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		a.log = slog.New(slog.DiscardHandler)
		c, err := a.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.close()
		ctx, cancel := context.WithTimeout(cmd.Context(), patience)
		defer cancel()
		var found []cobra.Completion
		find(ctx, c, func(word string) bool {
			if strings.HasPrefix(word, prefix) && !slices.Contains(args, word) && !slices.Contains(found, word) {
				found = append(found, word)
			}
			return len(found) < completions
		})
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeKeys(ctx context.Context, c *client, offer func(string) bool) {
	for page, err := range pages(ctx, c, c.keys.ListKeys, &gatewayv1.ListKeysRequest{}) {
		for _, key := range page.GetKeys() {
			if !offer(key.GetName()) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func completeServices(ctx context.Context, c *client, offer func(string) bool) {
	for page, err := range pages(ctx, c, c.breakers.ListBreakers, &gatewayv1.ListBreakersRequest{}) {
		for _, b := range page.GetBreakers() {
			if !offer(b.GetState().GetService()) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// completeDataPlanes finds data planes in one of some states; none means any.
func completeDataPlanes(states ...gatewayv1.DataPlaneState) finder {
	return func(ctx context.Context, c *client, offer func(string) bool) {
		for page, err := range pages(ctx, c, c.dataPlanes.ListDataPlanes, &gatewayv1.ListDataPlanesRequest{}) {
			for _, d := range page.GetDataplanes() {
				if (len(states) == 0 || slices.Contains(states, d.GetState())) && !offer(d.GetId()) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}
