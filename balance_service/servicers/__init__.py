"""One class for each service of the contract, one method for each of its RPCs.

A method takes four steps, in the order in which the contract has refusals come:

1. authorise: who calls, and whether they may. The token was verified before: `calls.dispatch`.
2. read: every field, with what is wrong collected in one `Checks`, whose `finish` ends the step. A
   request of a single field needs none: its reader refuses it.
3. act: repositories read, the ledger moves money. What the state does not allow is refused here.
4. answer: the message that `messages.convert` makes.

A method that changes something other than money hands `read` and `act` to `messages.once`, which
takes steps 2 to 4 once for a request id.
"""
