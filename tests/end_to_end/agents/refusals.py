"""refusals.py - how the services of the programs refuse a request: status, headers and body, by API and kind.

  limit SECONDS   429: too many requests or tokens, with the time of the next try where the service states one
  plan SECONDS    429: a plan's window is used up (ChatGPT, Claude, Code Assist); copilot-plan: of Copilot
  day             429: the requests of the day are used up
  credit          no credit or quota left: 429 or 400; copilot-credit: Copilot's 402
  login           401
  forbidden       403
  model           404: no such model
  long            400: the prompt does not fit the model
  broken          500
  gateway         502 with an HTML page, as a proxy answers
  busy            503, or 529 from Anthropic: overloaded
"""
import time

KINDS = ("limit", "plan", "day", "credit", "login", "forbidden", "model", "long", "broken", "gateway", "busy",
         "copilot-plan", "copilot-credit")
PAGE = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"


def refusal(api, kind, seconds):
    """-> (status, headers, body): a dict for JSON, a str for a page."""
    if kind not in KINDS:
        raise ValueError(f"no refusal of kind {kind}: {', '.join(KINDS)}")
    if kind == "gateway":
        return 502, {}, PAGE
    if api.startswith("anthropic"):
        return anthropic(kind, seconds)
    if api.startswith("gemini"):
        return gemini(kind, seconds)
    return openai(kind, seconds)


def openai(kind, seconds):
    """OpenAI's API, ChatGPT's plan limit and Copilot's service."""
    def error(status, message, type_, code, headers=None, **more):
        return status, headers or {}, {"error": {"message": message, "type": type_, "param": None, "code": code, **more}}
    now = int(time.time())
    after = {"retry-after": str(seconds)}
    if kind == "copilot-plan":
        hours = max(seconds // 3600, 1)
        return 429, after, {"error": {"code": "rate_limited", "message": "Sorry, you've hit a rate limit that restricts the number of Copilot "
                                      f"model requests you can make within a specific time period. Please try again in {hours} hours. "
                                      "Please review our Terms of Service."}}
    if kind == "copilot-credit":
        return 402, {}, {"error": {"code": "quota_exceeded", "message": "You have no quota"}}
    if kind == "plan":
        return error(429, "The usage limit has been reached", "usage_limit_reached", None,
                     {"x-codex-primary-used-percent": "100", "x-codex-primary-window-minutes": "300",
                      "x-codex-primary-reset-at": str(now + seconds), "x-codex-primary-reset-after-seconds": str(seconds)},
                     plan_type="plus", resets_at=now + seconds, resets_in_seconds=seconds)
    return {
        "limit": lambda: error(429, "Rate limit reached for stub-model in organization org-stub on tokens per min (TPM): Limit 30000, Used 29000, "
                               f"Requested 2000. Please try again in {seconds}s. Visit https://platform.openai.com/account/rate-limits to "
                               "learn more.", "tokens", "rate_limit_exceeded", {**after, "x-ratelimit-reset-tokens": f"{seconds}s"}),
        "day": lambda: error(429, "Rate limit reached for stub-model in organization org-stub on requests per day (RPD): Limit 200, Used 200, "
                             "Requested 1. Please try again in 7h12m0s. Visit https://platform.openai.com/account/rate-limits to learn more.",
                             "requests", "rate_limit_exceeded", {"retry-after": "25920"}),
        "credit": lambda: error(429, "You exceeded your current quota, please check your plan and billing details. For more information on this "
                                "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
                                "insufficient_quota", "insufficient_quota"),
        "login": lambda: error(401, "Incorrect API key provided: sk-stub. You can find your API key at "
                               "https://platform.openai.com/account/api-keys.", "invalid_request_error", "invalid_api_key"),
        "forbidden": lambda: error(403, "You are not allowed to sample from this model", "invalid_request_error", None),
        "model": lambda: error(404, "The model `gpt-nope` does not exist or you do not have access to it.", "invalid_request_error",
                               "model_not_found"),
        "long": lambda: error(400, "Your input exceeds the context window of this model. Please adjust your input and try again.",
                              "invalid_request_error", "context_length_exceeded"),
        "broken": lambda: error(500, "The server had an error while processing your request. Sorry about that!", "server_error", None),
        "busy": lambda: error(503, "The engine is currently overloaded, please try again later", "server_error", "server_is_overloaded"),
    }[kind]()


def anthropic(kind, seconds):
    def error(status, type_, message, headers=None):
        return status, headers or {}, {"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_stub"}
    end = str(int(time.time()) + seconds)
    return {
        "limit": lambda: error(429, "rate_limit_error", "This request would exceed your organization's rate limit of 50,000 input tokens per minute. "
                               "Please reduce the prompt length or the maximum tokens requested, or try again later.",
                               {"retry-after": str(seconds)}),
        "plan": lambda: error(429, "rate_limit_error", "This request would exceed your account's rate limit. Please try again later.",
                              {"retry-after": str(seconds), "x-should-retry": "false",
                               "anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": end,
                               "anthropic-ratelimit-unified-representative-claim": "five_hour",
                               "anthropic-ratelimit-unified-5h-status": "rejected", "anthropic-ratelimit-unified-5h-reset": end,
                               "anthropic-ratelimit-unified-5h-utilization": "1.0"}),
        "day": lambda: error(429, "rate_limit_error", "This request would exceed your organization's daily rate limit of 1,000,000 tokens. "
                             "Please try again later.", {"retry-after": "25920"}),
        "credit": lambda: error(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
                                "Billing to upgrade or purchase credits."),
        "login": lambda: error(401, "authentication_error", "invalid x-api-key"),
        "forbidden": lambda: error(403, "permission_error", "Your API key does not have permission to use the specified resource."),
        "model": lambda: error(404, "not_found_error", "model: claude-nope"),
        "long": lambda: error(400, "invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum"),
        "broken": lambda: error(500, "api_error", "Internal server error"),
        "busy": lambda: error(529, "overloaded_error", "Overloaded"),
    }[kind]()


def gemini(kind, seconds):
    """The Gemini API, and Code Assist for a plan's limit."""
    def error(code, status, message, *details):
        return code, {}, {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    google = "type.googleapis.com/google.rpc."

    def info(reason, domain="googleapis.com", **metadata):
        return {"@type": google + "ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata}

    def quota(name):
        return {"@type": google + "QuotaFailure", "violations": [
            {"quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests", "quotaId": name, "quotaValue": "250"}]}

    def retry(wait):
        return {"@type": google + "RetryInfo", "retryDelay": f"{wait}s"}

    def exceeded(wait):
        return ("You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: "
                "https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded for metric: "
                f"generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 250, model: stub\nPlease retry in {wait}s.")
    span = f"{seconds // 3600}h{seconds % 3600 // 60}m{seconds % 60}s"
    return {
        "limit": lambda: error(429, "RESOURCE_EXHAUSTED", exceeded(seconds),
                               quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry(seconds)),
        "plan": lambda: error(429, "RESOURCE_EXHAUSTED", f"You have exhausted your capacity on this model. Your quota will reset after {span}.",
                              info("QUOTA_EXHAUSTED", "cloudcode-pa.googleapis.com", uiMessage="true", model="stub"), retry(seconds)),
        "day": lambda: error(429, "RESOURCE_EXHAUSTED", exceeded(41.2),
                             quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry(41)),
        "credit": lambda: error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI Studio at "
                                "https://ai.studio/projects to manage your project and billing."),
        "login": lambda: error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
                               "or other valid authentication credential.", info("ACCESS_TOKEN_TYPE_UNSUPPORTED")),
        "forbidden": lambda: error(403, "PERMISSION_DENIED", "Permission denied on resource project stub.", info("CONSUMER_INVALID")),
        "model": lambda: error(404, "NOT_FOUND", "models/gemini-nope is not found for API version v1beta, or is not supported for generateContent. "
                               "Call ListModels to see the list of available models and their supported methods."),
        "long": lambda: error(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        "broken": lambda: error(500, "INTERNAL", "An internal error has occurred. Please retry or report in "
                                "https://developers.generativeai.google/guide/troubleshooting"),
        "busy": lambda: error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    }[kind]()
