"""Who may look: one optional token for all pages, as ``Authorization: Bearer <token>`` (RFC 6750). Pure."""

import hmac

__all__ = ["CHALLENGE", "permits"]

CHALLENGE = 'Bearer realm="prom_faust"'
"""The value of ``WWW-Authenticate`` where the token is missing or wrong."""


def permits(token: str | None, header: str | None) -> bool:
    """Whether a request with this ``Authorization`` header may see what a token guards.

    The time that it takes says nothing of the token.

    >>> permits("s3cret", "Bearer s3cret"), permits("s3cret", "bearer s3cret"), permits("s3cret", None)
    (True, True, False)

    Args:
        token: the token; None where everybody may look.
        header: the header's value, or None.
    """
    if token is None:
        return True
    scheme, _, given = (header or "").partition(" ")
    same = hmac.compare_digest(
        given.strip().encode(errors="surrogatepass"), token.encode(errors="surrogatepass")
    )
    return same and scheme.lower() == "bearer"
