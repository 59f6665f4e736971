"""Lambda's prices by region, as dated data.

tests/core/price_lists.csv has each of these prices with its source; a test compares the two.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

_LISTS: Final = {
    "offer-2026-09-19": ("2026-09-19", "AWS Price List, AWSLambda offer"),
    "offer-2026-10-01": ("2026-10-01", "AWS Price List, AWSLambda offer"),
    "calculator": ("2024-08..2025-01", "AWS Pricing Calculator, a public copy"),
    "research": ("2024", "a public research program's list (unverified)"),
    "c": ("2024-08..2025-01", "AWS Pricing Calculator, a public copy"),
    "t": ("2023", "the list of aws-lambda-live-tuner (unverified)"),
    "m": ("2023", "the list of a published price module (unverified)"),
    "?": ("2024-08..2025-01", "0.8 of the price of x86_64 (unverified)"),
}
"""Date and title of each list, by the word or the mark that the table has for it."""

_TABLE: Final = """
region         requests storage x86_64   arm64 standing  inside standing-arm64 inside-arm64 list
us-east-1          2000     309 166667  133334    41667   97222          33334        77778 offer-2026-09-19
af-south-1         2700     404 221000  176800    55300  129000         44240?      103200? calculator
ap-east-1          2800     407 229200  183000    57153  133358         45722?      106686? calculator
ap-northeast-1     2000    370c 166667  133334    53835  125615          43068       100492 offer-2026-10-01
ap-northeast-2     2000     352 166667  133334    51254  119592         41003?       95674? calculator
ap-northeast-3     2000     370 166667  133334    53835  125615         43068?      100492? calculator
ap-south-1         2000     352 166667  133334    44985  104966         35988?       83973? calculator
ap-south-2         2000     352 166667       -        -       -              -            - research
ap-southeast-1     2000     370 166667  133334    51991  121313         41593?       97050? calculator
ap-southeast-2     2000     370 166667  133334    52360  122173         41888?       97738? calculator
ap-southeast-3     2000     370 166667 133334t        -       -              -            - research
ap-southeast-4     2000     370 166667  133334    52360  122173         41888?       97738? calculator
ap-southeast-5     1800     333 150000  120000    46791  109181         37433?       87345? calculator
ca-central-1       2000     340 166667  133334    46460  108407         37168?       86726? calculator
ca-west-1          2000     340 166667       -        -       -              -            - research
eu-central-1       2000     367 166667  133334    50147  117011         40118?       93609? calculator
eu-central-2       2200     441 183334  146667    55162  128712         44130?      102970? calculator
eu-north-1         2000     323 166667  133334    44248  103245         35398?       82596? calculator
eu-south-1         2300     357 195172  156138    48783  113827         39026?       91062? calculator
eu-south-2         2000     340 166667       -        -       -              -            - research
eu-west-1          2000    340c 166667  133334   46460c 108407c         37168?       86726? offer-2026-10-01
eu-west-2          2000     358 166667  133334    48304  112709         38643?       90167? calculator
eu-west-3          2000     358 166667  133334    48673  113569         38938?       90855? calculator
il-central-1       2100     408 175000       -        -       -              -            - research
me-central-1       2500     374 206667 165334m        -       -              -            - research
me-south-1         2500     374 206667  165334    51108  119251         40886?       95401? calculator
sa-east-1          2000     586 166667  133334    66372  154867         53098?      123894? calculator
us-east-2          2000     309 166667  133334    41667   97222         33334?       77778? calculator
us-west-1          2000     370 166667  133334    49041  114430         39233?       91544? calculator
us-west-2          2000     309 166667  133334    41667   97222         33334?       77778? calculator
"""
"""In units of 1e-10 US dollars: a request, a GB-second of storage, a GB-second of duration (first tier), of
standing ready, and of duration inside provisioned concurrency. "-": not found. A price is from the list at
the end of its line unless a mark follows it."""

_HEADER, *_ROWS = _TABLE.strip().split("\n")
_LINES: Final = {line.partition(" ")[0]: line for line in _ROWS}
"""By region."""

_DIGITS: Final = 10


class DurablePrices(NamedTuple):
    """Durable functions, beside requests and duration: US dollars of an operation, a GB, a GB-month."""

    operation_usd: Decimal
    written_usd_per_gb: Decimal
    retained_usd_per_gb_month: Decimal


DURABLE_PRICES: Final = DurablePrices(Decimal("0.000008"), Decimal("0.25"), Decimal("0.15"))
"""us-east-1, from the offer of 2026-09-19. No list of another region is known: it is assumed everywhere."""


class ListedPrice(NamedTuple):
    """A price, and the list it is from.

    Attributes:
        usd: US dollars for one unit.
        published: Date of the list, ISO 8601, or as much of it as is known; "from..to" for a span.
        source: Title of the list.
        verified: Whether a list has it; else it follows a rule that was only seen in other regions.
    """

    usd: Decimal
    published: str
    source: str
    verified: bool


def listed_regions() -> tuple[str, ...]:
    """The regions of which something is known."""
    return tuple(_LINES)


def listed_prices(region: str) -> dict[str, ListedPrice]:
    """What is known of `region`, by meter; the meters are named by the table's first line.

    Raises:
        KeyError: Nothing is known of it.
    """
    _, *cells, source = _LINES[region].split()
    names = _HEADER.split()[1:-1]
    return {name: _listed(cell, source) for name, cell in zip(names, cells, strict=True) if cell != "-"}


def _listed(cell: str, source: str) -> ListedPrice:
    digits = cell.rstrip("ctm?")
    mark = cell.removeprefix(digits)
    return ListedPrice(Decimal(digits).scaleb(-_DIGITS).normalize(), *_LISTS[mark or source], mark != "?")
