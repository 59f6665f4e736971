"""Lambda's prices outside us-east-1: dated data, as far as it was found.

Sources: price map of the AWS Pricing Calculator (a public copy, between August 2024 and January 2025); rows
with a year alone are from lists that others published. Provisioned prices are in no fixed proportion to those
of duration.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple


class RegionalPrices(NamedTuple):
    """Prices of one region, US dollars; None = not found.

    Attributes:
        x86_64, arm64: GB-second of the first tier of duration.
        request: One request.
        storage: GB-second of ephemeral storage above 512 MB.
        standing, inside: GB-second of provisioned concurrency on x86_64, and of duration inside it.
        published: When that was so.
    """

    x86_64: Decimal
    arm64: Decimal | None
    request: Decimal
    storage: Decimal
    standing: Decimal | None
    inside: Decimal | None
    published: str

    @property
    def is_secondary(self) -> bool:
        """Whether it is from lists of others, not of AWS."""
        return len(self.published) == len("2024")


_MILLIONTHS: Final = """
af-south-1      22.1000  17.6800   0.2700   0.0404   5.5300  12.9000  2024-08..2025-01
ap-east-1       22.9200  18.3000   0.2800   0.0407   5.7153  13.3358  2024-08..2025-01
ap-northeast-1  16.6667  13.3334   0.2000   0.0370   5.3835  12.5615  2024-08..2025-01
ap-northeast-2  16.6667  13.3334   0.2000   0.0352   5.1254  11.9592  2024-08..2025-01
ap-northeast-3  16.6667  13.3334   0.2000   0.0370   5.3835  12.5615  2024-08..2025-01
ap-south-1      16.6667  13.3334   0.2000   0.0352   4.4985  10.4966  2024-08..2025-01
ap-south-2      16.6667        -   0.2000   0.0352        -        -  2024
ap-southeast-1  16.6667  13.3334   0.2000   0.0370   5.1991  12.1313  2024-08..2025-01
ap-southeast-2  16.6667  13.3334   0.2000   0.0370   5.2360  12.2173  2024-08..2025-01
ap-southeast-3  16.6667  13.3334   0.2000   0.0370        -        -  2023
ap-southeast-4  16.6667  13.3334   0.2000   0.0370   5.2360  12.2173  2024-08..2025-01
ap-southeast-5  15.0000  12.0000   0.1800   0.0333   4.6791  10.9181  2024-08..2025-01
ca-central-1    16.6667  13.3334   0.2000   0.0340   4.6460  10.8407  2024-08..2025-01
ca-west-1       16.6667        -   0.2000   0.0340        -        -  2024
eu-central-1    16.6667  13.3334   0.2000   0.0367   5.0147  11.7011  2024-08..2025-01
eu-central-2    18.3334  14.6667   0.2200   0.0441   5.5162  12.8712  2024-08..2025-01
eu-north-1      16.6667  13.3334   0.2000   0.0323   4.4248  10.3245  2024-08..2025-01
eu-south-1      19.5172  15.6138   0.2300   0.0357   4.8783  11.3827  2024-08..2025-01
eu-south-2      16.6667        -   0.2000   0.0340        -        -  2024
eu-west-1       16.6667  13.3334   0.2000   0.0340   4.6460  10.8407  2024-08..2025-01
eu-west-2       16.6667  13.3334   0.2000   0.0358   4.8304  11.2709  2024-08..2025-01
eu-west-3       16.6667  13.3334   0.2000   0.0358   4.8673  11.3569  2024-08..2025-01
il-central-1    17.5000        -   0.2100   0.0408        -        -  2024
me-central-1    20.6667  16.5334   0.2500   0.0374        -        -  2023
me-south-1      20.6667  16.5334   0.2500   0.0374   5.1108  11.9251  2024-08..2025-01
sa-east-1       16.6667  13.3334   0.2000   0.0586   6.6372  15.4867  2024-08..2025-01
us-east-2       16.6667  13.3334   0.2000   0.0309   4.1667   9.7222  2024-08..2025-01
us-west-1       16.6667  13.3334   0.2000   0.0370   4.9041  11.4430  2024-08..2025-01
us-west-2       16.6667  13.3334   0.2000   0.0309   4.1667   9.7222  2024-08..2025-01
"""
"""Region, the six prices of `RegionalPrices` in millionths of a dollar, when that was so; - = not found."""


def _usd(cell: str) -> Decimal | None:
    return None if cell == "-" else Decimal(cell).scaleb(-6)


def _row(line: str) -> tuple[str, RegionalPrices]:
    region, x86_64, arm64, request, storage, standing, inside, published = line.split()
    known = (Decimal(cell).scaleb(-6) for cell in (x86_64, request, storage))
    duration_usd, request_usd, storage_usd = known
    return region, RegionalPrices(
        duration_usd, _usd(arm64), request_usd, storage_usd, _usd(standing), _usd(inside), published
    )


REGIONAL_PRICES: Final[Mapping[str, RegionalPrices]] = dict(map(_row, _MILLIONTHS.strip().splitlines()))
"""By region, in the order of their names."""
