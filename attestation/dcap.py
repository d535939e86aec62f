"""The one door to `dcap-qvl`, which checks DCAP signatures, chains, revocation lists and dates.

The library is loaded here and nowhere else: it takes megabytes that a waiting server does not need. It holds Python's
global lock while it verifies (about a millisecond); who needs many hundred a second verifies in a process of its own.
At least version 0.7: before 0.3.9 the quoting enclave's identity was not checked (CVE-2026-22696).
"""

import dcap_qvl  # type: ignore[import-untyped]  # its stubs come without the marker py.typed


def appraise(quote: bytes, collateral: str, root: bytes | None, now: int) -> str:
    """The library's report about a quote that it accepts, as JSON.

    Args:
        quote: the quote's bytes
        collateral: JSON as `attestation.collateral` describes it
        root: certificate (DER) that everything must lead to; None: Intel's, which the library brings along
        now: Unix seconds

    Raises:
        ValueError: refused; the text is the library's, with its causes.
    """
    supply = dcap_qvl.QuoteCollateralV3.from_json(collateral)
    if root is None:
        report = dcap_qvl.verify(quote, supply, now)
    else:
        report = dcap_qvl.verify_with_root_ca(quote, supply, root, now)
    return str(report.to_json())


async def fetch(url: str, quote: bytes) -> str:
    """The collateral for a quote's platform from a PCCS, as JSON; ends when the server answers or the caller gives up.

    Raises:
        ValueError: the library could not get it.
    """
    supply = await dcap_qvl.get_collateral(url, quote)
    return str(supply.to_json())
