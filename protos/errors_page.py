"""The reference of refusals, from the comments of the contract's enum."""

from declarations import Files, told_reasons


def page(files: Files) -> str:
    """The page: a heading, and so a link, for each reason."""
    names, sections = [], []
    for name, code, meaning in told_reasons(files):
        names.append(f"- [{name}](#{name.lower()})")
        sections.append(f"## {name}\n\n`{code}`\n\n{meaning}\n")
    head = (
        "# Refusals\n\n"
        "Made from `protos/balance/v1/error_reason.proto` by `make protos`.\n\n"
        "A refused call answers a `google.rpc.Status`. Its `ErrorInfo` has the domain `balance.v1`,"
        " one of these\nreasons, and the facts of the case as metadata. Invalid fields come as"
        " `BadRequest`, a time to retry as\n`RetryInfo`, and a message for people as"
        " `LocalizedMessage` (English, or Russian by `accept-language`).\nBranch on the reason,"
        " never on the message. A refused call has changed nothing, except that after\nUNAVAILABLE,"
        " ANSWER_TIMEOUT or a DEADLINE_EXCEEDED without a reason the outcome\nmay be unknown"
        " ([retries](../guides/retries.md)). Two change\nsomething that is not money: a wrong"
        " confirmation code counts as an attempt, and a refresh token\nthat was used before ends"
        " its sign-in. Below each reason stands its gRPC status;\n"
        "[HTTP statuses](../guides/http.md#statuses) follow from it.\n\n"
        "| client | a refusal is | it has | branch with |\n"
        "|---|---|---|---|\n"
        "| [Python](../clients/python.md#refusals) | `BalanceError` |"
        " `reason`, `metadata`, `violations`, `retry_after_seconds` |"
        " `error.reason == Reason.INSUFFICIENT_FUNDS` |\n"
        "| [TypeScript](../clients/typescript.md#refusals) | `BalanceError` |"
        " `reason`, `facts`, `violations`, `retryAfterMs` |"
        " `error.reason === Reason.INSUFFICIENT_FUNDS` |\n"
        "| [Go](../clients/go.md#refusals) | `*balance.Refusal` |"
        " `Reason`, `Metadata`, `Violations`, `RetryAfter` |"
        " `refusal.Reason == balance.ReasonInsufficientFunds` |\n\n"
    )
    return head + "\n".join(names) + "\n\n" + "\n".join(sections)
