"""How long a caller who is refused should wait before trying again.

gRPC tells it as RetryInfo; HTTP as Retry-After, in whole seconds. The time to wait for
the next confirmation code is not here: `auth/askers.py` has these limits, and computes it.
"""

# The queue, a worker's calls and its connections: a commit takes milliseconds, so that room comes
# soon, and who waits longer than needed leaves the service idle.
OVERLOADED_SECONDS = 0.1
# More calls than a worker can begin: whoever comes again at once only makes more of them.
CROWDED_SECONDS = 1.0
# Whoever watches an account stays for long, so that room comes seldom.
WATCHERS_FULL_SECONDS = 1.0
# Handing a mail to the mail server takes about a second, and then there is room for another.
MAILS_FULL_SECONDS = 1.0
# A mail server that fails does not recover at once.
MAIL_SERVER_FAILED_SECONDS = 5.0
# A restart or a failover; only HTTP tells it, for the service cannot know how long it takes.
UNAVAILABLE_SECONDS = 1.0
# Verifying what is new takes seconds to minutes, and all of a large ledger longer.
VERIFICATION_RUNNING_SECONDS = 30
