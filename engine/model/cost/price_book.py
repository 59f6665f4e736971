"""The prices of one region by meter: the snapshot that is shipped, or the reader's own over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from engine.core.lambda_prices import HOME_REGION, REGIONS, PriceSheet, fallback_sheet, price_sheet
from engine.core.late_dataclass import dataclass
from engine.core.spelling import did_you_mean
from engine.errors import ConfigError
from engine.model.cost.price_list import (
    PUBLISHED,
    SOURCE,
    Allowance,
    Band,
    PriceMeter,
    allowances,
    meters,
)
from engine.model.cost.regional_services import OLDEST_LIST, SERVICES

_KEYS: Final = ("region", "published", "source", "meters")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """What everything costs in one region.

    Attributes:
        region: AWS region.
        published: Date of the newest list it is taken from, ISO 8601.
        source: Where the prices come from.
        meters: Price by meter; the names are those of `price_list.meters` and `lambda.duration.*`,
            `lambda.provisioned.standing.*`, `lambda.provisioned.duration.*`.
        allowances: What is free each month, if asked for.
        assumptions: What is not from a list of that region, one sentence each. Show them with the prices.
        assumed: Meters without a price of that region.
        on_demand: What the meters that a Savings Plan covers cost without it; empty without a plan.
    """

    region: str
    published: str
    source: str
    meters: Mapping[str, PriceMeter]
    allowances: tuple[Allowance, ...]
    assumptions: tuple[str, ...] = ()
    assumed: frozenset[str] = frozenset()
    on_demand: Mapping[str, PriceMeter] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The book as a document that `overridden` reads again."""
        return {
            "region": self.region,
            "published": self.published,
            "source": self.source,
            "meters": {
                name: {
                    "unit": meter.unit,
                    "usd": [[None if b.up_to is None else str(b.up_to), _plain(b.usd)] for b in meter.bands],
                }
                for name, meter in self.meters.items()
            },
        }


def price_book(region: str, override: Mapping[str, Any] | None = None) -> PriceBook:
    """The book of `region`; `override` is a document of prices that take the place of the shipped ones.

    A document that names its region may name one the snapshot does not have.

    Raises:
        ConfigError: The region is unknown, or the document is not one of prices; every problem is named.
    """
    sheet = price_sheet(region)
    if sheet is None:
        if override is None or override.get("region") != region:
            hint = did_you_mean(region, REGIONS)
            known = ", ".join(REGIONS)
            raise ConfigError(
                (f"region {region!r}: no prices known{hint} (known: {known}; or give a price file)",)
            )
        sheet = fallback_sheet(region)
    book = _book(sheet)
    return book if override is None else overridden(book, override)


def overridden(book: PriceBook, document: Mapping[str, Any]) -> PriceBook:
    """`book` with the prices of `document`: `{"region", "published", "source", "meters": {name: price}}`.

    A price is US dollars for one unit, or a list of `[up_to, usd]` bands, or `{"usd": either}`.
    """
    problems: list[str] = [
        f"{key}: unknown key{did_you_mean(key, _KEYS)} (known: {', '.join(_KEYS)})"
        for key in document
        if key not in _KEYS
    ]
    region = document.get("region", book.region)
    if region != book.region:
        problems.append(f"region: the prices are for {region!r}, not for {book.region!r}")
    changed: dict[str, PriceMeter] = {}
    table = document.get("meters", {})
    if not isinstance(table, Mapping):
        problems.append("meters: must be a table of prices by name")
        table = {}
    for name, price in table.items():
        if name not in book.meters:
            problems.append(f"meters.{name}: no such meter{did_you_mean(str(name), book.meters)}")
            continue
        try:
            changed[name] = PriceMeter(book.meters[name].unit, _bands(price))
        except ValueError as error:
            problems.append(f"meters.{name}: {error}")
    if problems:
        raise ConfigError(tuple(problems))
    source = str(document.get("source", "prices of your own"))
    kept = len(book.meters) - len(changed)
    note = (f"{kept} of {len(book.meters)} meters are from: {book.source} of {book.published}",)
    return replace(
        book,
        published=str(document.get("published", book.published)),
        source=source,
        meters={**book.meters, **changed},
        assumptions=book.assumptions + (note if kept else ()),
        assumed=book.assumed - changed.keys(),
    )


def _book(sheet: PriceSheet) -> PriceBook:
    if sheet.region == HOME_REGION:
        return PriceBook(
            region=sheet.region,
            published=PUBLISHED,
            source=SOURCE,
            meters={**meters(), **_of_lambda(sheet)},
            allowances=allowances(),
        )
    own, found = SERVICES.get(sheet.region, {}), meters()
    first_only = [name for name, prices in own.items() if len(prices) < len(found[name].bands)]
    found.update({name: _at(found[name], prices) for name, prices in own.items()})
    of_lambda = _of_lambda(sheet)
    others = found.keys() - own.keys() - of_lambda.keys()
    notes = [
        f"{sheet.region}: what is marked as assumed has the price of {HOME_REGION}, unless said otherwise"
    ]
    if own:
        notes.append(
            f"{sheet.region}: prices of {', '.join(own)} are of {OLDEST_LIST[sheet.region]} or later"
        )
    if first_only:
        notes.append(f"{sheet.region}: only the first tier is known of {', '.join(first_only)}")
    return PriceBook(
        region=sheet.region,
        published=sheet.published,
        source=sheet.source,
        meters={**found, **of_lambda},
        allowances=allowances(),
        assumptions=(*sheet.assumptions, *notes),
        assumed=frozenset((*others, *_assumed_meters(sheet))),
    )


def _of_lambda(sheet: PriceSheet) -> dict[str, PriceMeter]:
    """The meters that a sheet has, by the names of a book."""
    found = {
        "lambda.requests": PriceMeter("request", (Band(None, sheet.request_usd),)),
        "lambda.requests.provisioned": PriceMeter("request", (Band(None, sheet.request_usd),)),
        "lambda.storage": PriceMeter("GB-second", (Band(None, sheet.storage_usd_per_gb_second),)),
    }
    for architecture, tiers in sheet.duration.items():
        bands = tuple(Band(tier.up_to_gb_seconds, tier.usd_per_gb_second) for tier in tiers)
        found[f"lambda.duration.{architecture}"] = PriceMeter("GB-second", bands)
    for architecture, (standing, inside) in sheet.provisioned.items():
        found[f"lambda.provisioned.standing.{architecture}"] = PriceMeter(
            "GB-second", (Band(None, standing),)
        )
        found[f"lambda.provisioned.duration.{architecture}"] = PriceMeter("GB-second", (Band(None, inside),))
    return found


def _assumed_meters(sheet: PriceSheet) -> Iterator[str]:
    for name in sheet.assumed:
        kind, _, architecture = name.partition(".")
        if kind == "provisioned":
            yield f"lambda.provisioned.standing.{architecture}"
            yield f"lambda.provisioned.duration.{architecture}"
        else:
            yield f"lambda.{name}"
            if kind == "requests":
                yield "lambda.requests.provisioned"


def _at(meter: PriceMeter, prices: Sequence[str]) -> PriceMeter:
    """The meter at these prices, band by band; at the only one if there is one."""
    if len(prices) == 1:
        return PriceMeter(meter.unit, (Band(None, Decimal(prices[0])),))
    pairs = zip(meter.bands, prices, strict=True)
    return PriceMeter(meter.unit, tuple(Band(band.up_to, Decimal(usd)) for band, usd in pairs))


def _bands(price: Any) -> tuple[Band, ...]:
    """The bands a document writes. Raises ValueError with what is wrong."""
    if isinstance(price, Mapping):
        if "usd" not in price:
            raise ValueError("a table must have the key 'usd'")
        price = price["usd"]
    if not isinstance(price, list | tuple):
        return (Band(None, _amount(price, "the price")),)
    bands: list[Band] = []
    floor = Decimal(0)
    for entry in price:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise ValueError(f"a band is [up_to, usd], got {entry!r}")
        if bands and bands[-1].up_to is None:
            raise ValueError("a band that goes on for ever must be the last")
        up_to = None if entry[0] in (None, "") else _amount(entry[0], "up_to")
        if up_to is not None and up_to <= floor:
            raise ValueError(f"bands must rise, {up_to} comes after {floor}")
        floor = up_to or floor
        bands.append(Band(up_to, _amount(entry[1], "the price")))
    if not bands or bands[-1].up_to is not None:
        raise ValueError('the last band must have up_to = null (or ""): it goes on for ever')
    return tuple(bands)


def _amount(value: Any, what: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"{what} must be a number, got {value!r}")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{what} must be a number, got {value!r}") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{what} must be 0 or more, got {value!r}")
    return amount


def _plain(usd: Decimal) -> str:
    return f"{usd.normalize():f}"
