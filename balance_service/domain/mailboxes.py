"""Mailboxes: the addresses whose mail ends in one place, so that a limit cannot be multiplied.

An address with a sub-address (RFC 5233) and, where the provider ignores dots, one with other dots
lead to the mailbox of the plain one. Users stay told apart by their addresses as they typed them;
only limits count by mailbox.
"""

# What a sub-address begins with. Most providers take "+"; Yahoo takes "-", within names that its
# users choose, so it is not cut.
_SUBADDRESS = "+"
# Domains that are one provider's under several names, by the one that they stand for.
_SAME_DOMAIN = {
    "googlemail.com": "gmail.com",
    "ya.ru": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
# Providers that ignore dots in what stands before the "@" (Gmail's help, "Dots don't matter in
# Gmail addresses").
_DOTS_IGNORED = {"gmail.com"}
# Yandex takes "-" for "." (its help, "Aliases").
_HYPHENS_ARE_DOTS = {"yandex.ru"}


def canonical(email: str) -> str:
    """The mailbox of an address, as the plainest address that leads there.

    Args:
        email: As `parse_email` reads it.
    """
    local, _, domain = email.rpartition("@")
    domain = _SAME_DOMAIN.get(domain, domain)
    # An address may begin with "+", and then the whole of it is the name.
    plain = local[:1] + local[1:].partition(_SUBADDRESS)[0]
    if domain in _DOTS_IGNORED:
        plain = plain.replace(".", "")
    if domain in _HYPHENS_ARE_DOTS:
        plain = plain.replace("-", ".")
    return f"{plain}@{domain}"
