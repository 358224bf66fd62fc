-- POST /v1/payments, each a durable transition: wrk -s create_payment.lua URL
wrk.method = "POST"
wrk.path = "/v1/payments"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"amount":10000,"currency":"USD"}'
