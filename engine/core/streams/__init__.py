"""An event source mapping on a stream (Kinesis, DynamoDB Streams), as a state machine without I/O.

`poller.py` has the machine, `StreamPoller`. Its methods are the facts, each with its time, and each
returns the commands (`commands.py`) that follow:

    open(now_s)                          the mapping is enabled: reading begins, or goes on
    pause(now_s)                         it is disabled: nothing is read or invoked; what runs may end
    shards_listed(now_s, shards)         a ListShards was answered, all pages together; `is_other`: of
                                         another stream than before
    listing_failed(now_s, failure)       or it failed
    read(now_s, request, page)           a ReadShard was answered
    read_failed(now_s, request, failure) or it failed
    ended(now_s, batch, result)          the invocation with the batch of an InvokeBatch ended
    due(now_s)                           `next_due_s` has come; told too early it changes nothing

`next_due_s` is when `due` has to be told, None = never. `checkpoints()` is what a later poller needs to
go on from here, `counts` what was done, `report(now_s)` what waits.

Times are `now_s`: seconds since the Unix epoch, because records carry such times; they may not go back.

Source: Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams", "Using
AWS Lambda with Amazon DynamoDB"; answers of AWS recorded 2025-11-25. What these leave open is named in
docs/decisions/0035-streams.md.
"""
