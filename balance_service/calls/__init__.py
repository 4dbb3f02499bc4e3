"""What a call is, whichever door it came in by. gRPC and HTTP stand on this package, side by side.

- Who calls, until when, in which language, what they hear besides the answer: `call`.
- Which methods there are, and which need no token: `methods`, from the contract and its option
  `balance.v1.public`.
- What every call goes through, from token to log line: `dispatch`.
- What a refusal is to a caller (code, reason, HTTP status, text): the table in `refusals`. The
  classes of most are in `domain.errors`; of those that only HTTP has, in `http`.
- How long a refused caller should wait: `domain.retry_after`.
- Which languages refusals are told in: `languages`. How much is told: `shortening`.
- How a stream is answered in order and in bounded memory: `streams`.
"""
