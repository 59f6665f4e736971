"""What usage costs: quantities by meter, price books, bills. All money is `Decimal`, US dollars.

- `usage`: `invocations`, `provisioned`, `sqs` and so on return a `Usage`; `total` adds them up.
- `price_book`: `price_book` returns a `PriceBook` of a region; `price_list` holds the dated prices.
- `bill`: `bill` prices a usage of one month, less the free tier, line by line.
- `monthly`: `Month` and `around` price what stands around the functions; `what_ifs` varies it.
- `savings_plans`: rates by region, term and payment; `committed` is a bill with a commitment.
- `containers`: `containers_instead` holds a load against what is paid by the hour.
- `memory_sizes`: `tuned` finds the memory size that costs least from measured durations.
"""
