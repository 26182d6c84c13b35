//! Codes, words and statuses with the failure kinds that they mean.

use serde_json::json;

use super::super::*;
use super::moment;

fn class(text: &str) -> &'static str {
    status_class(None, text)
}

fn status_class(status: Option<u16>, text: &str) -> &'static str {
    let complaint = ReportedError {
        status,
        text,
        data: None,
    };
    classify(&complaint, &moment()).map_or("none", FailureKind::as_str)
}

#[test]
fn codes_of_protocols() {
    for (data, expected) in [
        (
            json!({"codex_error_info": "usage_limit_exceeded"}),
            "rate_limited",
        ),
        (
            json!({"codexErrorInfo": "usageLimitExceeded"}),
            "rate_limited",
        ),
        (json!({"errorKind": "rate_limit"}), "rate_limited"),
        (
            json!({"codexErrorInfo": {"responseTooManyFailedAttempts": {"httpStatusCode": 429}}}),
            "rate_limited",
        ),
        (
            json!({"codexErrorInfo": "contextWindowExceeded"}),
            "bad_input",
        ),
        (
            json!({"codex_error_info": {"usage_limit_exceeded": {}}}),
            "rate_limited",
        ),
        (
            json!({"codexErrorInfo": ["usageLimitExceeded"]}),
            "rate_limited",
        ),
        (json!({"errorKind": "overloaded"}), "rate_limited"),
        (
            json!({"errorKind": "authentication_failed"}),
            "auth_required",
        ),
        (json!({"code": 429}), "rate_limited"),
        (json!({"code": -32603, "message": "Internal error"}), "none"),
    ] {
        let complaint = ReportedError {
            data: Some(&data),
            ..ReportedError::default()
        };
        let found = classify(&complaint, &moment()).map_or("none", FailureKind::as_str);
        assert_eq!(found, expected, "{data}");
    }
}

#[test]
fn words_of_programs_and_services() {
    for (text, expected) in [
        // Limits.
        (
            "You’ve hit your usage limit. Upgrade to Pro, or try again at 8:09 PM.",
            "rate_limited",
        ),
        (
            "You've hit your limit · resets 3am (America/New_York)",
            "rate_limited",
        ),
        ("You've hit your Opus limit · resets 3am", "rate_limited"),
        ("5-hour limit reached ∙ resets 3pm", "rate_limited"),
        ("Claude AI usage limit reached|1795892400", "rate_limited"),
        (
            "Quota exceeded. Check your plan and billing details.",
            "rate_limited",
        ),
        (
            "exceeded retry limit, last status: 429 Too Many Requests",
            "rate_limited",
        ),
        (
            "You have exhausted your daily quota on this model.",
            "rate_limited",
        ),
        (
            "[API Error: You have exhausted your capacity on this model. Your quota will reset after 3h22m13s.]",
            "rate_limited",
        ),
        ("Monthly usage limit reached", "rate_limited"),
        ("You've reached your monthly usage limit", "rate_limited"),
        ("402 You have no quota", "rate_limited"),
        (
            "Your credit balance is too low to access the API",
            "rate_limited",
        ),
        (
            "API Error: Request rejected (429) · This request would exceed your account's rate limit.",
            "rate_limited",
        ),
        ("429 status code (no body)", "rate_limited"),
        ("Server busy: session limit of 4 reached", "none"),
        (
            "The provider rejected the prompt as too long, but automatic recovery could not reduce it.",
            "bad_input",
        ),
        ("Spending cap reached resets 3pm", "rate_limited"),
        (
            "You have exceeded your premium request allowance.",
            "rate_limited",
        ),
        ("Billing hard limit has been reached", "rate_limited"),
        ("You have reached the limit for overages.", "rate_limited"),
        ("Not enough credits", "rate_limited"),
        ("You've used 100% of your weekly usage.", "rate_limited"),
        ("You have run out of messages for today.", "rate_limited"),
        ("ThrottlingException: Too many tokens", "rate_limited"),
        ("You have no remaining credits", "rate_limited"),
        (
            "You've reached the maximum number of requests",
            "rate_limited",
        ),
        ("exceeded your current plan", "rate_limited"),
        ("Concurrency limit exceeded", "rate_limited"),
        (
            "Your plan's limit has been reached. Come back on Dec 3rd.",
            "rate_limited",
        ),
        (
            "Monthly credit limit reached for your organization",
            "rate_limited",
        ),
        ("You have sent too many messages.", "rate_limited"),
        (
            "You have exceeded the 50 messages per day free tier limit",
            "rate_limited",
        ),
        ("Throttling: TPM(10000000/10000000)", "rate_limited"),
        ("I added throttling to client.rs, the tests fail.", "none"),
        // Overload.
        (
            "The model `x` is not available at the moment due to high demand, please try again later",
            "rate_limited",
        ),
        (
            "No capacity available for model gemini-3-pro",
            "rate_limited",
        ),
        (
            "Selected model is at capacity. Please try a different model.",
            "rate_limited",
        ),
        ("API Error: 503 The server is overloaded.", "rate_limited"),
        ("API Error: 529 Overloaded", "rate_limited"),
        // Login.
        ("Invalid API key · Please run /login", "auth_required"),
        ("unexpected status 401 Unauthorized", "auth_required"),
        (
            "Your access token could not be refreshed because your refresh token was already used. Please log out and sign in again.",
            "auth_required",
        ),
        ("Not logged in. Run codex login", "auth_required"),
        ("Missing environment variable: `MY_KEY`.", "auth_required"),
        ("OAuth session expired, please sign in", "auth_required"),
        ("Your API key has expired", "auth_required"),
        ("Invalid bearer token", "auth_required"),
        ("Invalid authentication credentials", "auth_required"),
        ("Login required", "auth_required"),
        ("You must be logged in", "auth_required"),
        (
            "Your credentials have expired. Run `x login`",
            "auth_required",
        ),
        ("invalid_grant", "auth_required"),
        (
            "Could not resolve authentication method. Expected either apiKey or authToken to be set",
            "auth_required",
        ),
        (
            "unexpected status 401 Unauthorized: model not found",
            "auth_required",
        ),
        (
            "API key not found. Please pass a valid API key.",
            "auth_required",
        ),
        (
            "Please set an Auth method in your settings",
            "auth_required",
        ),
        // The prompt, the model.
        ("413 Request Entity Too Large", "bad_input"),
        ("error code: model_not_found", "bad_input"),
        ("This model's maximum prompt length is 131072", "bad_input"),
        (
            "Codex ran out of room in the model's context window. Start a new thread",
            "bad_input",
        ),
        (
            "Prompt is too long · the provider said: Your input exceeds the context window of this model.",
            "bad_input",
        ),
        (
            "This model's maximum context length is 128000 tokens.",
            "bad_input",
        ),
        (
            "The input token count (1300000) exceeds the maximum number of tokens allowed (1048576).",
            "bad_input",
        ),
        (
            "The model `gpt-nope` does not exist or you do not have access to it.",
            "bad_input",
        ),
        (
            "There's an issue with the selected model (x). It may not exist or you may not have access to it.",
            "bad_input",
        ),
        (
            "Model 'stub-model' not found on provider at ****** (HTTP 404).",
            "bad_input",
        ),
        (
            "{\"detail\":\"The 'gpt-5.1-codex-mini' model is not supported when using Codex with a ChatGPT account.\"}",
            "bad_input",
        ),
        (
            "Ran into this error: Request failed: Resource not found (404) at http://127.0.0.1/v1: The model `gpt-nope` does not exist or you do not have access to it.",
            "bad_input",
        ),
        ("stub/nope is not a valid model ID", "bad_input"),
        ("Invalid params: Model not found: gpt-nope", "bad_input"),
        (
            "The model `x` has been decommissioned and is no longer supported.",
            "bad_input",
        ),
        (
            "Your project does not have access to model `gpt-nope`",
            "bad_input",
        ),
        ("ProviderModelNotFoundError", "bad_input"),
        ("Unrecognized model \"x\". Choose another.", "bad_input"),
        // The network.
        (
            "API Error: Unable to connect to API (ConnectionRefused)",
            "network",
        ),
        (
            "stream disconnected before completion: Transport error: network error",
            "network",
        ),
        (
            "Reconnecting... waiting for network (Connection failed: error sending request)",
            "network",
        ),
        ("connect ECONNREFUSED 127.0.0.1:9", "network"),
        ("getaddrinfo ENOTFOUND api.example.org", "network"),
        (
            "[API Error: exception TypeError: fetch failed sending request]",
            "network",
        ),
        ("Network error: Could not connect to the service", "network"),
        ("Request timed out.", "network"),
        ("The operation timed out", "network"),
        ("dial tcp: lookup api.openai.com: no such host", "network"),
        ("read tcp 10.0.0.1:1->1.1.1.1:443: i/o timeout", "network"),
        ("ENETDOWN", "network"),
        ("UND_ERR_CONNECT_TIMEOUT Connect Timeout Error", "network"),
        ("unable to reach api.anthropic.com", "network"),
        (
            "Could not reach the API. Check your internet connection",
            "network",
        ),
        ("net::ERR_INTERNET_DISCONNECTED", "network"),
        (
            "upstream connect error or disconnect/reset before headers",
            "network",
        ),
        ("curl: (6) Name or service not known", "network"),
        (
            "Client network socket disconnected before secure TLS connection was established",
            "network",
        ),
        // Unknown errors.
        (
            "Unexpected server error. Check server logs for details.",
            "none",
        ),
        ("error_max_turns", "none"),
        ("Internal error", "none"),
        ("cannot read file quota.rs", "none"),
        (
            "Test 'rate limit returns 429' failed in limiter_test.py",
            "none",
        ),
        (
            "[warn] rate limit headers missing\nTypeError: x is not a function",
            "none",
        ),
        ("rate limiter refactored, tests reached 100 %", "none"),
        ("I fixed the rate limit in api.rs, tests fail.", "none"),
        ("write: Disk quota exceeded", "none"),
        ("Reached the limit of 50 turns", "none"),
        ("the test failed after 429 assertions", "none"),
        ("", "none"),
    ] {
        assert_eq!(class(text), expected, "{text}");
    }
}

#[test]
fn a_stated_status_decides_where_words_do_not() {
    for (status, text, expected) in [
        (429, "Slow down", "rate_limited"),
        (402, "Payment", "rate_limited"),
        (401, "quota unknown: token expired", "auth_required"),
        (403, "API rate limit exceeded", "rate_limited"),
        (403, "Forbidden", "auth_required"),
        (400, "Your credit balance is too low", "rate_limited"),
        (
            400,
            "context_length_exceeded: maximum context length",
            "bad_input",
        ),
        (400, "no such parameter", "bad_input"),
        (404, "model 'x' not found", "bad_input"),
        (404, "page not found", "none"),
        (500, "Internal", "none"),
        (
            500,
            "models/gemini-nope is not found for API version v1beta",
            "bad_input",
        ),
        (502, "<html>", "network"),
        (503, "busy", "rate_limited"),
        (529, "Overloaded", "rate_limited"),
    ] {
        assert_eq!(
            status_class(Some(status), text),
            expected,
            "{status} {text}"
        );
    }
}
