"""S3: an object store behind S3's API, its notifications, and webhooks for those of other stores.

`service.S3Service` is what clients and the process use, `source.S3Source` what invokes functions.
"""
