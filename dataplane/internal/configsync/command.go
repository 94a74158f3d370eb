package configsync

import (
	"fmt"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// pageSize is where a page of a list ends, in bytes: well below MaxMessage, as one more entry always fits.
const pageSize = gatewayv1.MaxMessage / 4

// obey does what the control plane asks for, also for one that is not followed.
func (c *Client) obey(cmd *gatewayv1.Command, reply func(*gatewayv1.SyncRequest)) {
	err := fmt.Errorf("command not known: this data plane is too old for it")
	switch {
	case cmd.GetResetBreaker() != nil:
		err = nil
		if service := cmd.GetResetBreaker().GetService(); !c.opts.Live.ResetBreaker(service) {
			err = fmt.Errorf("service %q: no breaker", service)
		}
	case cmd.GetCheckDigest() != nil:
		c.checkDigest(cmd.GetId(), reply)
		return
	case cmd.GetListKeys() != nil:
		err = nil
		c.replica.listKeys(cmd.GetId(), reply)
	}
	result := &gatewayv1.CommandResult{Id: cmd.GetId()}
	if err != nil {
		result.Error = err.Error()
	}
	reply(message(result))
}

// checkDigest answers before it asks for what has drifted: that ends the stream.
func (c *Client) checkDigest(command uint64, reply func(*gatewayv1.SyncRequest)) {
	result := &gatewayv1.CommandResult{Id: command}
	drift := c.replica.checkDrift()
	if drift != nil {
		result.Error = drift.Error()
	}
	reply(message(result))
	if drift != nil {
		c.replica.askAnew(drift)
	}
}

// listKeys sends every key as it is served, in pages.
func (r *replica) listKeys(command uint64, reply func(*gatewayv1.SyncRequest)) {
	r.mu.Lock()
	list := r.keys.all()
	r.mu.Unlock()
	page, size := &gatewayv1.KeyPage{CommandId: command}, 0
	for _, e := range list {
		n := len(e.ID) + len(e.Value) + 16
		if size > 0 && size+n > pageSize {
			reply(message(page))
			page, size = &gatewayv1.KeyPage{CommandId: command}, 0
		}
		page.Entries = append(page.Entries, &gatewayv1.Entry{Kind: e.Kind, Id: e.ID, Value: e.Value})
		size += n
	}
	if size > 0 {
		reply(message(page))
	}
}
