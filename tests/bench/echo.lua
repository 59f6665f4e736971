-- The request of every HTTP measurement here: a small JSON body, posted over keep-alive connections.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"message": "hello", "n": 1}'
