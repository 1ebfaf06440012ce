//! The rows of the catalogue. Columns: constant = tag, header, short, unit, kind value, order group, flags,
//! source, meaning.

use super::{Flags, Group, Kind, MetricDef, MetricId, Source, ValueType};

macro_rules! order {
    (_) => {
        None
    };
    ($order:literal) => {
        Some($order)
    };
}

macro_rules! catalogue {
    ($($name:ident = $tag:literal, $header:literal, $short:literal, $unit:literal, $kind:ident $value:ident,
       $order:tt $group:ident, [$($flag:ident)*], $source:ident, $doc:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Row { $($name),* }

        $(#[doc = $doc] pub const $name: MetricId = MetricId(Row::$name as u16);)*

        /// All metrics, in the order of their ids.
        pub static CATALOGUE: &[MetricDef] = &[$(MetricDef {
            tag: $tag,
            header: $header,
            short: $short,
            unit: $unit,
            kind: Kind::$kind,
            value: ValueType::$value,
            order: order!($order),
            group: Group::$group,
            flags: Flags::NONE$(.union(Flags::$flag))*,
            source: Source::$source,
            doc: $doc,
        }),*];
    };
}

catalogue! {
    // Latency and streaming.
    TIME_TO_FIRST_TOKEN = "time_to_first_token", "Time to First Token", "TTFT", "ms", Record Float, 100 Default, [STREAMING PRODUCES_TOKENS FAILURE_ADJUSTED], Aiperf,
        "First event with content (text, reasoning or tool call) minus request start.";
    TIME_TO_SECOND_TOKEN = "time_to_second_token", "Time to Second Token", "TTST", "ms", Record Float, 200 Default, [STREAMING PRODUCES_TOKENS], Aiperf,
        "Second event with content minus the first one; needs two.";
    TIME_TO_FIRST_OUTPUT_TOKEN = "time_to_first_output_token", "Time to First Output Token", "TTFO", "ms", Record Float, 210 Default, [STREAMING PRODUCES_TOKENS REASONING], Aiperf,
        "First event with content that is not reasoning minus request start; equals TTFT without reasoning.";
    REQUEST_LATENCY = "request_latency", "Request Latency", "Req Latency", "ms", Record Float, 300 Default, [FAILURE_ADJUSTED], Aiperf,
        "Last event with content minus request start; usage, finish and `[DONE]` events are not content.";
    DECODE_DURATION = "decode_duration", "Decode Duration", "Decode Duration", "ms", Record Float, 350 Default, [STREAMING PRODUCES_TOKENS FAILURE_ADJUSTED], Aiperf,
        "`request_latency - time_to_first_token`, never negative.";
    INTER_TOKEN_LATENCY = "inter_token_latency", "Inter Token Latency", "ITL", "ms", Record Float, 400 Default, [STREAMING PRODUCES_TOKENS FAILURE_ADJUSTED], Aiperf,
        "`(request_latency - time_to_first_token) / (output_sequence_length - 1)`, needs two tokens; where events carry token counts the divisor is OSL minus the tokens of the first event.";
    OUTPUT_TOKEN_THROUGHPUT_PER_USER = "output_token_throughput_per_user", "Output Token Throughput Per User", "Output TPS/User", "tokens/sec/user", Record Float, 500 Default, [STREAMING PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`1 / inter_token_latency[s]`; absent when that is 0.";
    E2E_OUTPUT_TOKEN_THROUGHPUT = "e2e_output_token_throughput", "E2E Output Token Throughput", "E2E Output TPS/User", "tokens/sec/user", Record Float, 510 Default, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`output_sequence_length / request_latency[s]`; needs no streaming.";
    CREDIT_DROP_LATENCY = "credit_drop_latency", "Credit Drop Latency", "Credit Latency", "ms", Record Float, _ None, [INTERNAL], Aiperf,
        "From taking up a request to its start. An input of other figures, never exported.";
    INTER_CHUNK_LATENCY = "inter_chunk_latency", "Inter Chunk Latency", "ICL", "ms", Record List, _ None, [STREAMING PRODUCES_TOKENS], Aiperf,
        "Gaps between consecutive events with content, a list for each request; summarised over all gaps of all requests. Events of one read share a stamp, so zeros are real.";
    PREFILL_THROUGHPUT_PER_USER = "prefill_throughput_per_user", "Prefill Throughput Per User", "Prefill TPS/User", "tokens/sec/user", Record Float, _ None, [STREAMING PRODUCES_TOKENS LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "`input_sequence_length / time_to_first_token[s]`.";
    STREAM_PREFILL_LATENCY = "stream_prefill_latency", "Stream Prefill Latency", "Stream Prefill Latency", "ms", Record Float, _ Default, [STREAMING PRODUCES_TOKENS EXPERIMENTAL], Aiperf,
        "`time_to_first_token - stream_setup_latency`.";
    STREAM_SETUP_LATENCY = "stream_setup_latency", "Stream Setup Latency", "Stream Setup Latency", "ms", Record Float, _ Default, [STREAMING EXPERIMENTAL], Aiperf,
        "Response headers complete (2xx) minus request start.";

    // Latency from the intended instant: what a user of an open system sees.
    CREDIT_TO_START_LATENCY = "credit_to_start_latency", "Credit-to-Start Latency", "Credit to Start", "ms", Record Float, _ None, [SUMMARY_ONLY], Aiperf,
        "`request_start_ns - credit_issued_ns`, never negative; failed requests included.";
    EFFECTIVE_LATENCY = "effective_latency", "Effective Latency (CO-aware)", "Eff Latency", "ms", Record Float, _ Effective, [SUMMARY_ONLY], Aiperf,
        "`request_end_ns - credit_issued_ns`, never negative; failed requests included. Immune to coordinated omission.";
    EFFECTIVE_TIME_TO_FIRST_TOKEN = "effective_time_to_first_token", "Effective Time to First Token (CO-aware)", "Eff TTFT", "ms", Record Float, _ Effective, [STREAMING PRODUCES_TOKENS], Tokmeter,
        "First event with content minus the intended instant: TTFT as a user of an open system sees it.";
    SCHEDULE_LAG = "schedule_lag", "Schedule Lag", "Sched Lag", "ms", Record Float, _ None, [HTTP_TRACE], Tokmeter,
        "First write of the request minus the intended instant: how late the client was, connection set-up included.";

    // HTTP lifecycle.
    HTTP_REQ_BLOCKED = "http_req_blocked", "HTTP Blocked", "Blocked", "ms", Record Float, 2000 None, [HTTP_TRACE], Aiperf,
        "Waiting for a connection of the pool or for a stream slot; 0 when there was no wait. HAR `blocked`.";
    HTTP_REQ_DNS_LOOKUP = "http_req_dns_lookup", "HTTP DNS Lookup", "DNS", "ms", Record Float, 2010 None, [HTTP_TRACE], Aiperf,
        "Resolution of the host name; 0 for a cached name, an IP literal or a reused connection. HAR `dns`.";
    HTTP_REQ_CONNECTING = "http_req_connecting", "HTTP Connecting", "Connecting", "ms", Record Float, 2020 None, [HTTP_TRACE], Aiperf,
        "TCP plus TLS handshake; 0 on a reused connection. HAR `connect`. AIPerf's contains the DNS lookup as well, ours does not.";
    HTTP_REQ_TCP_CONNECTING = "http_req_tcp_connecting", "HTTP TCP Connecting", "TCP", "ms", Record Float, 2021 None, [HTTP_TRACE], Tokmeter,
        "TCP handshake alone; 0 on a reused connection.";
    HTTP_REQ_TLS_HANDSHAKING = "http_req_tls_handshaking", "HTTP TLS Handshaking", "TLS", "ms", Record Float, 2022 None, [HTTP_TRACE], Tokmeter,
        "TLS handshake alone; 0 without TLS or on a reused connection. k6 name; HAR `ssl`.";
    HTTP_REQ_SENDING = "http_req_sending", "HTTP Sending", "Sending", "ms", Record Float, 2030 None, [HTTP_TRACE], Aiperf,
        "First write of the request to its last. HAR `send`. AIPerf's contains connection set-up, ours does not.";
    HTTP_REQ_WAITING_HEADERS = "http_req_waiting_headers", "HTTP Waiting (Headers)", "Wait Headers", "ms", Record Float, 2035 None, [HTTP_TRACE], Tokmeter,
        "Last write to the first byte of the response. k6 `http_req_waiting`.";
    HTTP_REQ_WAITING = "http_req_waiting", "HTTP Waiting (TTFB)", "TTFB", "ms", Record Float, 2040 None, [HTTP_TRACE], Aiperf,
        "Last write to the first body byte. HAR `wait` to the body, not to the headers.";
    HTTP_REQ_RECEIVING = "http_req_receiving", "HTTP Receiving", "Receiving", "ms", Record Float, 2050 None, [HTTP_TRACE], Aiperf,
        "First to last body byte; 0 for a body that came in one read. HAR `receive`.";
    HTTP_REQ_CONNECTION_REUSED = "http_req_connection_reused", "HTTP Connection Reused", "Conn Reused", "ratio", Record Int, 2060 None, [HTTP_TRACE], Aiperf,
        "1 when the request went over a kept-alive connection, else 0: its mean is the reuse ratio.";
    HTTP_REQ_DATA_SENT = "http_req_data_sent", "HTTP Data Sent", "Sent", "KB", Record Float, 2070 None, [HTTP_TRACE], Aiperf,
        "Bytes of the request body, without headers and framing, / 1024.";
    HTTP_REQ_CHUNKS_SENT = "http_req_chunks_sent", "HTTP Chunks Sent", "Chunks Sent", "count", Record Int, 2080 None, [HTTP_TRACE], Aiperf,
        "Writes of the request body.";
    HTTP_REQ_DATA_RECEIVED = "http_req_data_received", "HTTP Data Received", "Received", "KB", Record Float, 2090 None, [HTTP_TRACE], Aiperf,
        "Bytes of the response body, without headers and framing, / 1024.";
    HTTP_REQ_CHUNKS_RECEIVED = "http_req_chunks_received", "HTTP Chunks Received", "Chunks Recv", "count", Record Int, 2100 None, [HTTP_TRACE], Aiperf,
        "Reads that brought body bytes.";
    HTTP_REQ_CONNECTION_OVERHEAD = "http_req_connection_overhead", "HTTP Connection Overhead", "Conn Overhead", "ms", Record Float, 2110 None, [HTTP_TRACE], Aiperf,
        "`http_req_blocked + http_req_dns_lookup + http_req_connecting`.";
    HTTP_REQ_DURATION = "http_req_duration", "HTTP Duration (excl. conn)", "Dur (excl)", "ms", Record Float, 2120 None, [HTTP_TRACE], Aiperf,
        "First write to last body byte, measured directly. k6's `http_req_duration` to the body's end.";
    HTTP_REQ_TOTAL = "http_req_total", "HTTP Total Time", "Total", "ms", Record Float, 2130 None, [HTTP_TRACE], Aiperf,
        "Sum of the six phases blocked, DNS, connecting, sending, waiting, receiving, which are disjoint. HAR `time`.";
    CLIENT_RECV_LAG = "client_recv_lag", "Client Receive Lag", "Recv Lag", "ms", Record Float, 2140 None, [HTTP_TRACE], Tokmeter,
        "Largest time a byte of the answer lay in the kernel before this program read it: the error bar of every other instant.";
    STALE_CONNECTION_RETRIES = "stale_connection_retries", "Stale Connection Retries", "Stale Retries", "count", Record Int, 2150 None, [HTTP_TRACE], Tokmeter,
        "Attempts on kept-alive connections that the server had closed, replaced before the first response byte.";
    HTTP_REQ_TCP_RTT = "http_req_tcp_rtt", "HTTP TCP Round Trip", "TCP RTT", "ms", Record Float, 2160 None, [HTTP_TRACE], Tokmeter,
        "Smoothed round-trip time of the connection at the end of the request, from the kernel (`TCP_INFO`).";
    HTTP_REQ_TCP_RETRANSMITS = "http_req_tcp_retransmits", "HTTP TCP Retransmits", "Retransmits", "count", Record Int, 2170 None, [HTTP_TRACE], Tokmeter,
        "Segments retransmitted on the connection so far, from the kernel (`TCP_INFO`).";

    // Events of a stream.
    STREAM_EVENTS = "stream_events", "Stream Events", "Events", "count", Record Int, _ None, [STREAMING], Tokmeter,
        "Server-sent events of the answer, comments excluded.";
    COALESCED_EVENTS = "coalesced_events", "Coalesced Events", "Coalesced", "count", Record Int, _ None, [STREAMING], Tokmeter,
        "Events that shared their read with an earlier one, so that their own arrival is unknown.";
    TOKENS_PER_EVENT = "tokens_per_event", "Tokens per Event", "Tokens/Event", "ratio", Record Float, _ None, [STREAMING PRODUCES_TOKENS], Tokmeter,
        "`output_sequence_length` / events with content: above 1, inter-chunk and inter-token latency differ.";
    FINISH_REASON_MISSING = "finish_reason_missing", "Finish Reason Missing", "No Finish", "count", Record Int, _ None, [STREAMING], Tokmeter,
        "1 when a stream ended with `[DONE]` but told no finish reason: perhaps it was cut. Absent otherwise.";
    FINISH_REASON_MISSING_COUNT = "finish_reason_missing_count", "Finish Reason Missing Count", "No Finish Count", "requests", Aggregate Int, _ None, [STREAMING NO_INDIVIDUAL_RECORDS], Tokmeter,
        "Successes that told no finish reason; absent when 0.";

    // Tokens.
    OUTPUT_SEQUENCE_LENGTH = "output_sequence_length", "Output Sequence Length", "OSL", "tokens", Record Int, 600 Default, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`output_token_count + reasoning_token_count`, a missing one counts 0.";
    ERROR_ISL = "error_isl", "Error Input Sequence Length", "Error ISL", "tokens", Record Int, 700 None, [ERROR_ONLY LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "Input tokens of a failed request: the only metric of a failed line.";
    INPUT_SEQUENCE_LENGTH = "input_sequence_length", "Input Sequence Length", "ISL", "tokens", Record Int, 700 Default, [LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "Tokens of all texts of the request as sent, joined by a space, without special tokens; or the server's count.";
    OSL_MISMATCH_COUNT = "osl_mismatch_count", "OSL Mismatch Count", "OSL Mismatches", "requests", Aggregate Int, _ None, [PRODUCES_TOKENS NO_INDIVIDUAL_RECORDS], Aiperf,
        "Requests with `|OSL - requested| > min(5 % of requested, 50 tokens)`.";
    OSL_MISMATCH_DIFF_PCT = "osl_mismatch_diff_pct", "OSL Mismatch Diff %", "OSL Diff", "%", Record Float, _ None, [PRODUCES_TOKENS], Aiperf,
        "`100 (OSL - requested) / requested`, signed; needs a requested length.";
    OUTPUT_TOKEN_COUNT = "output_token_count", "Output Token Count", "Output Tokens", "tokens", Record Int, _ None, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Tokens of the answer without its reasoning; or the server's completion count less reasoning.";
    OVERALL_THINKING_EFFICIENCY = "overall_thinking_efficiency", "Overall Thinking Efficiency", "Overall Eff.", "ratio", Derived Float, _ Default, [PRODUCES_TOKENS REASONING EXPERIMENTAL], Aiperf,
        "`total_reasoning_tokens / total_output_tokens`.";
    REASONING_TOKEN_COUNT = "reasoning_token_count", "Reasoning Token Count", "Reasoning Tokens", "tokens", Record Int, _ None, [PRODUCES_TOKENS LARGER_IS_BETTER REASONING], Aiperf,
        "Tokens of the reasoning text; or the server's count. Absent without reasoning.";
    REQUESTED_OSL = "requested_osl", "Requested OSL", "Req OSL", "tokens", Record Int, _ None, [PRODUCES_TOKENS INTERNAL], Aiperf,
        "Longest answer asked for in the request. An input of the mismatch figures, never exported.";
    THINKING_EFFICIENCY = "thinking_efficiency", "Thinking Efficiency", "Thinking Efficiency", "ratio", Record Float, _ Default, [PRODUCES_TOKENS REASONING EXPERIMENTAL], Aiperf,
        "`reasoning_token_count / output_token_count`.";
    TOTAL_ERROR_ISL = "total_error_isl", "Total Error Input Sequence Length", "Total Error ISL", "tokens", Derived Int, _ None, [ERROR_ONLY LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "Sum of `error_isl`; only when requests failed.";
    TOTAL_ISL = "total_isl", "Total Input Sequence Length", "Total ISL", "tokens", Derived Int, _ None, [LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "Sum of `input_sequence_length` over successes.";
    TOTAL_OSL = "total_osl", "Total Output Sequence Length", "Total OSL", "tokens", Derived Int, _ None, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `output_sequence_length` over successes.";
    TOTAL_OUTPUT_TOKENS = "total_output_tokens", "Total Output Tokens", "Total Output", "tokens", Derived Int, _ None, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `output_token_count` over successes.";
    TOTAL_REASONING_TOKENS = "total_reasoning_tokens", "Total Reasoning Tokens", "Total Reasoning", "tokens", Derived Int, _ None, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `reasoning_token_count` over successes.";

    // Counts, throughput, goodput.
    OUTPUT_TOKEN_THROUGHPUT = "output_token_throughput", "Output Token Throughput", "Output TPS", "tokens/sec", Derived Float, 800 Default, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`total_osl / W`, where W is the phase window: phase start to the last request's return.";
    INPUT_TOKEN_THROUGHPUT = "input_token_throughput", "Input Token Throughput", "Input TPS", "tokens/sec", Derived Float, 805 Default, [LARGER_IS_BETTER], Aiperf,
        "`total_isl / W`, W the phase window.";
    REQUEST_THROUGHPUT = "request_throughput", "Request Throughput", "Req/sec", "requests/sec", Derived Float, 900 Default, [LARGER_IS_BETTER], Aiperf,
        "`request_count / W`, W the phase window (not `benchmark_duration`).";
    GOODPUT = "goodput", "Goodput", "Goodput", "requests/sec", Derived Float, 1000 Default, [GOODPUT], Aiperf,
        "`good_request_count / W`: requests per second that met every SLO.";
    COMPLETED_REQUEST_COUNT = "completed_request_count", "Completed Requests (Success + Error)", "Completed", "requests", Derived Int, 1075 Default, [NO_INDIVIDUAL_RECORDS], Aiperf,
        "Successes plus failures.";
    REQUEST_ERROR_RATE = "request_error_rate", "Request Error Rate", "Err %", "%", Derived Float, 1080 Default, [NO_INDIVIDUAL_RECORDS], Aiperf,
        "`100 failures / (successes + failures)`; 0 when nothing failed.";
    REQUEST_COUNT = "request_count", "Request Count", "Requests", "requests", Aggregate Int, 1100 Default, [LARGER_IS_BETTER NO_INDIVIDUAL_RECORDS], Aiperf,
        "Successful requests.";
    BENCHMARK_DURATION = "benchmark_duration", "Benchmark Duration", "Duration", "sec", Derived Float, _ None, [], Aiperf,
        "Earliest request start to the latest last-content instant, over successes.";
    CONTEXT_OVERFLOW_COUNT = "context_overflow_count", "Context Overflow Count", "Ctx Overflow", "requests", Aggregate Int, _ Default, [ERROR_ONLY NO_INDIVIDUAL_RECORDS], Aiperf,
        "Failed requests the server refused because the input exceeds the model's context; present when any request failed.";
    ERROR_REQUEST_COUNT = "error_request_count", "Error Request Count", "Error Count", "requests", Aggregate Int, _ Default, [ERROR_ONLY NO_INDIVIDUAL_RECORDS], Aiperf,
        "Failed requests; absent when none failed.";
    GOOD_REQUEST_COUNT = "good_request_count", "Good Request Count", "Good Request Count", "requests", Aggregate Int, _ None, [GOODPUT], Aiperf,
        "Requests that met every SLO; 0 or 1 in a record. A request that lacks one of the metrics is not good.";
    GOOD_REQUEST_FRACTION = "good_request_fraction", "GoodRequestFraction", "GoodReqFrac", "ratio", Derived Float, _ None, [LARGER_IS_BETTER GOODPUT], Aiperf,
        "`good_request_count / (successes + failures)`.";
    MAX_RESPONSE_TIMESTAMP = "max_response_timestamp", "Maximum Response Timestamp", "Max Resp", "ns", Aggregate Int, _ None, [INTERNAL NO_INDIVIDUAL_RECORDS], Aiperf,
        "Latest request start plus request latency, wall clock. An input of `benchmark_duration`.";
    MIN_REQUEST_TIMESTAMP = "min_request_timestamp", "Minimum Request Timestamp", "Min Req", "ns", Aggregate Int, _ None, [INTERNAL NO_INDIVIDUAL_RECORDS], Aiperf,
        "Earliest request start, wall clock. An input of `benchmark_duration`.";
    TOTAL_TOKEN_THROUGHPUT = "total_token_throughput", "Total Token Throughput", "Total TPS", "tokens/sec", Derived Float, _ None, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`(total_isl + total_osl) / W`, W the phase window.";

    // What the server reported.
    USAGE_PROMPT_TOKENS = "usage_prompt_tokens", "Usage Prompt Tokens", "Usage Prompt", "tokens", Record Int, 1000 Usage, [LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "Prompt tokens the server reported, cache reads and writes included.";
    USAGE_PROMPT_CACHE_READ_TOKENS = "usage_prompt_cache_read_tokens", "Usage Prompt Cache Read Tokens", "Usage Prompt Cache Read", "tokens", Record Int, 1010 Usage, [LARGER_IS_BETTER], Aiperf,
        "Prompt tokens the server took from its cache.";
    USAGE_PROMPT_CACHE_WRITE_TOKENS = "usage_prompt_cache_write_tokens", "Usage Prompt Cache Write Tokens", "Usage Prompt Cache Write", "tokens", Record Int, 1015 Usage, [], Aiperf,
        "Prompt tokens the server wrote to its cache.";
    USAGE_PROMPT_CACHE_MISS_TOKENS = "usage_prompt_cache_miss_tokens", "Usage Prompt Cache Miss Tokens", "Usage Prompt Cache Miss", "tokens", Record Int, 1017 Usage, [], Aiperf,
        "Prompt tokens the server did not find in its cache.";
    USAGE_PROMPT_AUDIO_TOKENS = "usage_prompt_audio_tokens", "Usage Prompt Audio Tokens", "Usage Prompt Audio", "tokens", Record Int, 1020 Usage, [LARGER_IS_BETTER AUDIO], Aiperf,
        "Audio tokens of the prompt the server reported.";
    USAGE_TOOL_USE_PROMPT_TOKENS = "usage_tool_use_prompt_tokens", "Usage Tool Use Prompt Tokens", "Usage Tool Prompt", "tokens", Record Int, 1030 Usage, [], Aiperf,
        "Prompt tokens of tool results the server reported.";
    USAGE_PROMPT_AUDIO_SECONDS = "usage_prompt_audio_seconds", "Usage Prompt Audio Seconds", "Usage Prompt Audio Sec", "sec", Record Float, 1040 Usage, [LARGER_IS_BETTER AUDIO], Aiperf,
        "Seconds of prompt audio the server reported.";
    USAGE_COMPLETION_TOKENS = "usage_completion_tokens", "Usage Completion Tokens", "Usage Completion", "tokens", Record Int, 1100 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Completion tokens the server reported, reasoning included.";
    USAGE_REASONING_TOKENS = "usage_reasoning_tokens", "Usage Reasoning Tokens", "Usage Reasoning", "tokens", Record Int, 1110 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Reasoning tokens the server reported.";
    USAGE_COMPLETION_AUDIO_TOKENS = "usage_completion_audio_tokens", "Usage Completion Audio Tokens", "Usage Completion Audio", "tokens", Record Int, 1120 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER AUDIO], Aiperf,
        "Audio tokens of the completion the server reported.";
    USAGE_ACCEPTED_PREDICTION_TOKENS = "usage_accepted_prediction_tokens", "Usage Accepted Prediction Tokens", "Usage Accepted Pred", "tokens", Record Int, 1130 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Predicted output tokens that the server accepted.";
    USAGE_REJECTED_PREDICTION_TOKENS = "usage_rejected_prediction_tokens", "Usage Rejected Prediction Tokens", "Usage Rejected Pred", "tokens", Record Int, 1140 Usage, [PRODUCES_TOKENS], Aiperf,
        "Predicted output tokens that the server rejected.";
    USAGE_TOTAL_TOKENS = "usage_total_tokens", "Usage Total Tokens", "Usage Total", "tokens", Record Int, 1200 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Total tokens the server reported.";
    TOTAL_USAGE_PROMPT_TOKENS = "total_usage_prompt_tokens", "Total Usage Prompt Tokens", "Total Usage Prompt", "tokens", Derived Int, 2000 Usage, [LARGER_IS_BETTER TOKENIZES_INPUT], Aiperf,
        "Sum of `usage_prompt_tokens`.";
    TOTAL_USAGE_PROMPT_CACHE_READ_TOKENS = "total_usage_prompt_cache_read_tokens", "Total Usage Prompt Cache Read Tokens", "Total Usage Prompt Cache Read", "tokens", Derived Int, 2010 Usage, [LARGER_IS_BETTER], Aiperf,
        "Sum of `usage_prompt_cache_read_tokens`.";
    OVERALL_USAGE_PROMPT_CACHE_READ_PCT = "overall_usage_prompt_cache_read_pct", "Overall Usage Prompt Cache Read %", "Overall Cache Read %", "%", Derived Float, 2012 Usage, [LARGER_IS_BETTER], Aiperf,
        "`100 total_usage_prompt_cache_read_tokens / total_usage_prompt_tokens`.";
    TOTAL_USAGE_PROMPT_CACHE_WRITE_TOKENS = "total_usage_prompt_cache_write_tokens", "Total Usage Prompt Cache Write Tokens", "Total Usage Prompt Cache Write", "tokens", Derived Int, 2015 Usage, [], Aiperf,
        "Sum of `usage_prompt_cache_write_tokens`.";
    TOTAL_USAGE_PROMPT_CACHE_MISS_TOKENS = "total_usage_prompt_cache_miss_tokens", "Total Usage Prompt Cache Miss Tokens", "Total Usage Prompt Cache Miss", "tokens", Derived Int, 2017 Usage, [], Aiperf,
        "Sum of `usage_prompt_cache_miss_tokens`.";
    TOTAL_USAGE_PROMPT_AUDIO_TOKENS = "total_usage_prompt_audio_tokens", "Total Usage Prompt Audio Tokens", "Total Usage Prompt Audio", "tokens", Derived Int, 2020 Usage, [LARGER_IS_BETTER AUDIO], Aiperf,
        "Sum of `usage_prompt_audio_tokens`.";
    TOTAL_USAGE_TOOL_USE_PROMPT_TOKENS = "total_usage_tool_use_prompt_tokens", "Total Usage Tool Use Prompt Tokens", "Total Usage Tool Prompt", "tokens", Derived Int, 2030 Usage, [], Aiperf,
        "Sum of `usage_tool_use_prompt_tokens`.";
    TOTAL_USAGE_PROMPT_AUDIO_SECONDS = "total_usage_prompt_audio_seconds", "Total Usage Prompt Audio Seconds", "Total Usage Prompt Audio Sec", "sec", Derived Float, 2040 Usage, [LARGER_IS_BETTER AUDIO], Aiperf,
        "Sum of `usage_prompt_audio_seconds`.";
    TOTAL_USAGE_COMPLETION_TOKENS = "total_usage_completion_tokens", "Total Usage Completion Tokens", "Total Usage Completion", "tokens", Derived Int, 2100 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `usage_completion_tokens`.";
    TOTAL_USAGE_REASONING_TOKENS = "total_usage_reasoning_tokens", "Total Usage Reasoning Tokens", "Total Usage Reasoning", "tokens", Derived Int, 2110 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `usage_reasoning_tokens`.";
    TOTAL_USAGE_COMPLETION_AUDIO_TOKENS = "total_usage_completion_audio_tokens", "Total Usage Completion Audio Tokens", "Total Usage Comp Audio", "tokens", Derived Int, 2120 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER AUDIO], Aiperf,
        "Sum of `usage_completion_audio_tokens`.";
    TOTAL_USAGE_ACCEPTED_PREDICTION_TOKENS = "total_usage_accepted_prediction_tokens", "Total Usage Accepted Prediction Tokens", "Total Usage Accepted Pred", "tokens", Derived Int, 2130 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `usage_accepted_prediction_tokens`.";
    TOTAL_USAGE_REJECTED_PREDICTION_TOKENS = "total_usage_rejected_prediction_tokens", "Total Usage Rejected Prediction Tokens", "Total Usage Rejected Pred", "tokens", Derived Int, 2140 Usage, [PRODUCES_TOKENS], Aiperf,
        "Sum of `usage_rejected_prediction_tokens`.";
    TOTAL_USAGE_TOTAL_TOKENS = "total_usage_total_tokens", "Total Usage Total Tokens", "Total Usage Total", "tokens", Derived Int, 2200 Usage, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "Sum of `usage_total_tokens`.";
    USAGE_COMPLETION_TOKENS_DIFF_PCT = "usage_completion_tokens_diff_pct", "Usage Completion Diff %", "Completion Diff", "%", Record Float, _ None, [PRODUCES_TOKENS USAGE_DIFF], Aiperf,
        "`100 |usage_completion_tokens - OSL| / OSL`.";
    USAGE_DISCREPANCY_COUNT = "usage_discrepancy_count", "Usage Discrepancy Count", "Discrepancies", "requests", Aggregate Int, _ None, [NO_INDIVIDUAL_RECORDS USAGE_DIFF], Aiperf,
        "Requests whose prompt or completion count differs from the server's by more than 10 %.";
    USAGE_PROMPT_TOKENS_DIFF_PCT = "usage_prompt_tokens_diff_pct", "Usage Prompt Diff %", "Prompt Diff", "%", Record Float, _ None, [TOKENIZES_INPUT USAGE_DIFF], Aiperf,
        "`100 |usage_prompt_tokens - ISL| / ISL`.";
    USAGE_REASONING_TOKENS_DIFF_PCT = "usage_reasoning_tokens_diff_pct", "Usage Reasoning Diff %", "Reasoning Diff", "%", Record Float, _ None, [PRODUCES_TOKENS REASONING USAGE_DIFF], Aiperf,
        "`100 |usage_reasoning_tokens - reasoning_token_count| / reasoning_token_count`.";

    // Network latency adjustment.
    NETWORK_ADJUSTED_TIME_TO_FIRST_TOKEN = "network_adjusted_time_to_first_token", "Network-Adjusted Time to First Token", "Net-Adj TTFT", "ms", Derived Float, 101 Default, [STREAMING PRODUCES_TOKENS], Aiperf,
        "`max(time_to_first_token - network_rtt, 0)` of each request.";
    NETWORK_ADJUSTED_TIME_TO_FIRST_OUTPUT_TOKEN = "network_adjusted_time_to_first_output_token", "Network-Adjusted Time to First Output Token", "Net-Adj TTFO", "ms", Derived Float, 211 Default, [STREAMING PRODUCES_TOKENS REASONING], Aiperf,
        "`max(time_to_first_output_token - network_rtt, 0)` of each request.";
    NETWORK_ADJUSTED_REQUEST_LATENCY = "network_adjusted_request_latency", "Network-Adjusted Request Latency", "Net-Adj Req Latency", "ms", Derived Float, 301 Default, [], Aiperf,
        "`max(request_latency - network_rtt, 0)` of each request.";
    NETWORK_RTT = "network_rtt", "Network RTT", "Net RTT", "ms", Derived Float, 305 Default, [NO_INDIVIDUAL_RECORDS], Aiperf,
        "Mean round trip of the network probe, or the value given.";

    // Replay of a trace at its own times.
    REPLAY_SCHED_DEGRADED = "replay_sched_degraded", "Replay Schedule Degraded", "Sched Degraded", "count", Derived Int, _ None, [FIXED_SCHEDULE], Aiperf,
        "1 when `replay_sched_lag_p99` exceeds 500 ms, else 0.";
    REPLAY_SCHED_LAG_P50 = "replay_sched_lag_p50", "Replay Schedule Lag p50", "Sched Lag p50", "ms", Derived Float, _ None, [FIXED_SCHEDULE], Aiperf,
        "Median of the send offsets, relative to the least.";
    REPLAY_SCHED_LAG_P90 = "replay_sched_lag_p90", "Replay Schedule Lag p90", "Sched Lag p90", "ms", Derived Float, _ None, [FIXED_SCHEDULE], Aiperf,
        "p90 of the send offsets, relative to the least.";
    REPLAY_SCHED_LAG_P99 = "replay_sched_lag_p99", "Replay Schedule Lag p99", "Sched Lag p99", "ms", Derived Float, _ None, [FIXED_SCHEDULE], Aiperf,
        "p99 of the send offsets, relative to the least.";
    REPLAY_SEND_SCHEDULE_OFFSET = "replay_send_schedule_offset", "Replay Send Schedule Offset", "Sched Offset", "ns", Record Int, _ None, [INTERNAL FIXED_SCHEDULE], Aiperf,
        "Request start minus the instant the trace asked for. An input of the lag figures, never exported.";

    // Speculative decoding.
    SPEC_DECODE_ACCEPTANCE_LENGTH = "spec_decode_acceptance_length", "Acceptance Length", "Acceptance Length", "ratio", Record Float, 5000 SpecDecode, [LARGER_IS_BETTER], Aiperf,
        "`1 + accepted / steps`: tokens for each verify step.";
    SPEC_DECODE_TOKEN_WEIGHTED_ACCEPTANCE_LENGTH = "spec_decode_token_weighted_acceptance_length", "Token-Weighted Acceptance Length", "Token-Wtd Accept Len", "ratio", Derived Float, 5010 SpecDecode, [LARGER_IS_BETTER], Aiperf,
        "`1 + sum accepted / sum steps`.";
    SPEC_DECODE_DRAFT_ACCEPTANCE_RATE = "spec_decode_draft_acceptance_rate", "Draft Acceptance Rate", "Draft Accept Rate", "%", Record Float, 5020 SpecDecode, [LARGER_IS_BETTER], Aiperf,
        "`100 accepted / drafted`.";
    SPEC_DECODE_OVERALL_DRAFT_ACCEPTANCE_RATE = "spec_decode_overall_draft_acceptance_rate", "Overall Draft Acceptance Rate", "Overall Draft Accept Rate", "%", Derived Float, 5025 SpecDecode, [LARGER_IS_BETTER], Aiperf,
        "`100 sum accepted / sum drafted`.";
    SPEC_DECODE_ACCEPTED_PER_VERIFIED = "spec_decode_accepted_per_verified", "Accepted per Verified", "Accepted / Verified", "ratio", Record Float, 5030 SpecDecode, [LARGER_IS_BETTER], Aiperf,
        "`(accepted + steps) / (drafted + steps)`.";
    SPEC_DECODE_STEPS = "spec_decode_steps", "Spec Decode Steps", "Spec Decode Steps", "count", Record Int, 5040 SpecDecode, [], Aiperf,
        "Verify steps of the request.";
    SPEC_DECODE_ACCEPTED_DRAFT_TOKENS = "spec_decode_accepted_draft_tokens", "Accepted Draft Tokens", "Accepted Draft", "tokens", Record Int, 5050 None, [], Aiperf,
        "Draft tokens of the request that were accepted.";
    SPEC_DECODE_DRAFT_TOKENS = "spec_decode_draft_tokens", "Draft Tokens", "Draft Tokens", "tokens", Record Int, 5060 None, [], Aiperf,
        "Draft tokens proposed for the request.";
    TOTAL_SPEC_DECODE_STEPS = "total_spec_decode_steps", "Total Spec Decode Steps", "Total Spec Decode Steps", "count", Derived Int, 5140 None, [], Aiperf,
        "Sum of `spec_decode_steps`.";
    TOTAL_ACCEPTED_DRAFT_TOKENS = "total_accepted_draft_tokens", "Total Accepted Draft Tokens", "Total Accepted Draft", "tokens", Derived Int, 5150 None, [], Aiperf,
        "Sum of `spec_decode_accepted_draft_tokens`.";
    TOTAL_DRAFT_TOKENS = "total_draft_tokens", "Total Draft Tokens", "Total Draft", "tokens", Derived Int, 5160 None, [], Aiperf,
        "Sum of `spec_decode_draft_tokens`.";

    // Images, audio, video.
    VIDEO_INFERENCE_TIME = "video_inference_time", "Video Inference Time", "Inference Time", "ms", Record Float, 310 Default, [VIDEO], Aiperf,
        "Inference time in the server's answer.";
    VIDEO_PEAK_MEMORY = "video_peak_memory", "Video Peak Memory", "Peak Memory", "MB", Record Float, 311 Default, [VIDEO], Aiperf,
        "Peak memory in the server's answer.";
    RTFX = "rtfx", "Inverse Real-Time Factor (RTFx)", "RTFx", "ratio", Record Float, 850 Default, [LARGER_IS_BETTER AUDIO], Aiperf,
        "`audio_duration / request_latency[s]`.";
    IMAGE_THROUGHPUT = "image_throughput", "Image Throughput", "Image Throughput", "images/sec", Record Float, 860 Default, [IMAGE], Aiperf,
        "`num_images / request_latency[s]`.";
    IMAGE_LATENCY = "image_latency", "Image Latency", "Image Latency", "ms/image", Record Float, 861 Default, [IMAGE], Aiperf,
        "`request_latency / num_images`.";
    AUDIO_DURATION = "audio_duration", "Audio Duration", "Audio Dur", "sec", Record Float, 870 None, [AUDIO], Aiperf,
        "Seconds of audio in the request.";
    NUM_IMAGES = "num_images", "Number of Images", "Num Images", "images", Record Int, _ None, [IMAGE], Aiperf,
        "Images in the request; absent without any.";

    // GPU energy, NVIDIA.
    NVIDIA_ENERGY_DELAY_PRODUCT = "nvidia_energy_delay_product", "Energy Delay Product", "Energy Delay Product", "J*s", Derived Float, 700 GpuNvidia, [], Aiperf,
        "`(E / request_count) * mean request_latency[s]`, E the energy of the window.";
    NVIDIA_PERFORMANCE_PER_WATT = "nvidia_performance_per_watt", "Performance per Watt", "Performance per Watt", "requests/sec/W", Derived Float, 710 GpuNvidia, [LARGER_IS_BETTER], Aiperf,
        "`request_throughput / average power`.";
    NVIDIA_OUTPUT_TPS_PER_WATT = "nvidia_output_tps_per_watt", "Output Tokens per Second per Watt", "Output Tokens per Second per Watt", "tokens/sec/W", Derived Float, 712 GpuNvidia, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`output_token_throughput / average power`.";
    NVIDIA_GOODPUT_PER_WATT = "nvidia_goodput_per_watt", "Goodput per Watt", "Goodput per Watt", "good-req/s/W", Derived Float, 714 GpuNvidia, [LARGER_IS_BETTER], Aiperf,
        "`goodput / average power`; with `--goodput` only.";
    NVIDIA_AVERAGE_GPU_POWER = "nvidia_average_gpu_power", "Average GPU Power", "Average GPU Power", "W", Derived Float, 720 GpuNvidia, [], Aiperf,
        "`E / W`, E the energy of the window, W its length.";
    NVIDIA_TOTAL_GPU_ENERGY = "nvidia_total_gpu_energy", "Total GPU Energy", "Total GPU Energy", "J", Derived Float, 730 GpuNvidia, [], Aiperf,
        "E: increase of the energy counters of all GPUs over the window; without counters fleet power times W.";
    NVIDIA_TOTAL_GPU_POWER = "nvidia_total_gpu_power", "Total GPU Power", "Total GPU Power", "W", Derived Float, 740 GpuNvidia, [], Aiperf,
        "Sum over GPUs of the mean of the power gauge in the window.";
    NVIDIA_ENERGY_PER_TOTAL_TOKEN = "nvidia_energy_per_total_token", "Energy per Total Token", "Energy per Total Token", "mJ/token", Derived Float, 745 GpuNvidia, [], Aiperf,
        "`1000 E / (total_isl + total_osl)`.";
    NVIDIA_ENERGY_PER_OUTPUT_TOKEN = "nvidia_energy_per_output_token", "Energy per Output Token", "Energy per Output Token", "mJ/token", Derived Float, 750 GpuNvidia, [PRODUCES_TOKENS], Aiperf,
        "`1000 E / total_osl`.";
    NVIDIA_ENERGY_PER_REQUEST = "nvidia_energy_per_request", "Energy per Request", "Energy per Request", "joules/request", Derived Float, 755 GpuNvidia, [], Aiperf,
        "`E / request_count`.";
    NVIDIA_OUTPUT_TOKENS_PER_JOULE = "nvidia_output_tokens_per_joule", "Output Tokens per Joule", "Output Tokens per Joule", "tokens/J", Derived Float, 760 GpuNvidia, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`total_osl / E`.";
    NVIDIA_ENERGY_PER_USER = "nvidia_energy_per_user", "Energy per User", "Energy per User", "joules/user", Derived Float, 765 GpuNvidia, [], Aiperf,
        "`E / configured concurrency`; only when one is set.";

    // GPU energy, AMD.
    AMD_ENERGY_DELAY_PRODUCT = "amd_energy_delay_product", "Energy Delay Product", "Energy Delay Product", "J*s", Derived Float, 800 GpuAmd, [], Aiperf,
        "`(E / request_count) * mean request_latency[s]`, E the energy of the window.";
    AMD_PERFORMANCE_PER_WATT = "amd_performance_per_watt", "Performance per Watt", "Performance per Watt", "requests/sec/W", Derived Float, 810 GpuAmd, [LARGER_IS_BETTER], Aiperf,
        "`request_throughput / average power`.";
    AMD_OUTPUT_TPS_PER_WATT = "amd_output_tps_per_watt", "Output Tokens per Second per Watt", "Output Tokens per Second per Watt", "tokens/sec/W", Derived Float, 812 GpuAmd, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`output_token_throughput / average power`.";
    AMD_GOODPUT_PER_WATT = "amd_goodput_per_watt", "Goodput per Watt", "Goodput per Watt", "good-req/s/W", Derived Float, 814 GpuAmd, [LARGER_IS_BETTER], Aiperf,
        "`goodput / average power`; with `--goodput` only.";
    AMD_AVERAGE_GPU_POWER = "amd_average_gpu_power", "Average GPU Power", "Average GPU Power", "W", Derived Float, 820 GpuAmd, [], Aiperf,
        "`E / W`, E the energy of the window, W its length.";
    AMD_TOTAL_GPU_ENERGY = "amd_total_gpu_energy", "Total GPU Energy", "Total GPU Energy", "J", Derived Float, 830 GpuAmd, [], Aiperf,
        "E: increase of the energy counters of all GPUs over the window; without counters fleet power times W.";
    AMD_TOTAL_GPU_POWER = "amd_total_gpu_power", "Total GPU Power", "Total GPU Power", "W", Derived Float, 840 GpuAmd, [], Aiperf,
        "Sum over GPUs of the mean of the power gauge in the window.";
    AMD_ENERGY_PER_TOTAL_TOKEN = "amd_energy_per_total_token", "Energy per Total Token", "Energy per Total Token", "mJ/token", Derived Float, 845 GpuAmd, [], Aiperf,
        "`1000 E / (total_isl + total_osl)`.";
    AMD_ENERGY_PER_OUTPUT_TOKEN = "amd_energy_per_output_token", "Energy per Output Token", "Energy per Output Token", "mJ/token", Derived Float, 850 GpuAmd, [PRODUCES_TOKENS], Aiperf,
        "`1000 E / total_osl`.";
    AMD_ENERGY_PER_REQUEST = "amd_energy_per_request", "Energy per Request", "Energy per Request", "joules/request", Derived Float, 855 GpuAmd, [], Aiperf,
        "`E / request_count`.";
    AMD_OUTPUT_TOKENS_PER_JOULE = "amd_output_tokens_per_joule", "Output Tokens per Joule", "Output Tokens per Joule", "tokens/J", Derived Float, 860 GpuAmd, [PRODUCES_TOKENS LARGER_IS_BETTER], Aiperf,
        "`total_osl / E`.";
    AMD_ENERGY_PER_USER = "amd_energy_per_user", "Energy per User", "Energy per User", "joules/user", Derived Float, 865 GpuAmd, [], Aiperf,
        "`E / configured concurrency`; only when one is set.";

    // Failed requests counted as infinitely slow.
    ADJ_REQUEST_LATENCY = "adj_request_latency", "Request Latency (error-adjusted)", "Adj Req Latency", "ms", Derived Float, _ Default, [], Aiperf,
        "`request_latency` with every failed request entered as infinite; only when requests failed. Percentiles by numpy `nearest`.";
    ADJ_TIME_TO_FIRST_TOKEN = "adj_time_to_first_token", "Time to First Token (error-adjusted)", "Adj TTFT", "ms", Derived Float, _ Default, [STREAMING PRODUCES_TOKENS], Aiperf,
        "`time_to_first_token` with every failed request entered as infinite; only when requests failed. Percentiles by numpy `nearest`.";
    ADJ_DECODE_DURATION = "adj_decode_duration", "Decode Duration (error-adjusted)", "Adj Decode Duration", "ms", Derived Float, _ Default, [STREAMING PRODUCES_TOKENS], Aiperf,
        "`decode_duration` with every failed request entered as infinite; only when requests failed. Percentiles by numpy `nearest`.";
    ADJ_INTER_TOKEN_LATENCY = "adj_inter_token_latency", "Inter Token Latency (error-adjusted)", "Adj ITL", "ms", Derived Float, _ Default, [STREAMING PRODUCES_TOKENS], Aiperf,
        "`inter_token_latency` with every failed request entered as infinite; only when requests failed. Percentiles by numpy `nearest`.";

    // Time-weighted over the window (sweep line).
    EFFECTIVE_CONCURRENCY = "effective_concurrency", "Effective Concurrency", "Eff Conc", "requests", TimeWeighted Float, 10 Effective, [], Aiperf,
        "Requests in flight: +1 at request start, -1 at request end.";
    EFFECTIVE_DECODE_THROUGHPUT = "effective_decode_throughput", "Effective Decode Throughput", "Eff Decode TPS", "tokens/sec", TimeWeighted Float, 20 Effective, [LARGER_IS_BETTER], Aiperf,
        "Rate of the tokens after the first: `(OSL-1)/K` spread over each of the K non-zero gaps, or evenly from first token to end without gaps.";
    EFFECTIVE_PREFILL_THROUGHPUT = "effective_prefill_throughput", "Effective Prefill Throughput", "Eff Prefill TPS", "tokens/sec", TimeWeighted Float, 30 Effective, [LARGER_IS_BETTER], Aiperf,
        "`ISL / TTFT` of each request between its start and its first token.";
    EFFECTIVE_DECODE_CONCURRENCY = "effective_decode_concurrency", "Effective Decode Concurrency", "Eff Decode Conc", "requests", TimeWeighted Float, 40 Effective, [], Aiperf,
        "Requests between first token and end.";
    EFFECTIVE_PREFILL_CONCURRENCY = "effective_prefill_concurrency", "Effective Prefill Concurrency", "Eff Prefill Conc", "requests", TimeWeighted Float, 50 Effective, [], Aiperf,
        "Requests between start and first token.";
    EFFECTIVE_TOTAL_THROUGHPUT = "effective_total_throughput", "Effective Total Throughput", "Eff Total TPS", "tokens/sec", TimeWeighted Float, 60 Effective, [LARGER_IS_BETTER], Aiperf,
        "Prefill rate plus the even decode rate `(OSL-1)/(end - first token)`.";
    EFFECTIVE_DECODE_THROUGHPUT_PER_USER = "effective_decode_throughput_per_user", "Effective Decode Throughput Per User", "Eff Decode TPS Per User", "tokens/sec/user", TimeWeighted Float, 70 Effective, [LARGER_IS_BETTER], Aiperf,
        "Decode throughput over decode concurrency, 0 where nobody decodes.";
    EFFECTIVE_PREFILL_THROUGHPUT_PER_USER = "effective_prefill_throughput_per_user", "Effective Prefill Throughput Per User", "Eff Prefill TPS Per User", "tokens/sec/user", TimeWeighted Float, 80 Effective, [LARGER_IS_BETTER], Aiperf,
        "Prefill throughput over prefill concurrency, 0 where nobody prefills.";
    TOKENS_IN_FLIGHT = "tokens_in_flight", "Tokens In Flight", "Tokens In Flight", "tokens", TimeWeighted Float, 90 Effective, [], Aiperf,
        "Tokens held by running requests: ISL from start, the output as it comes.";
    ACTIVE_DECODE_THROUGHPUT = "active_decode_throughput", "Active Decode Throughput", "Active Decode TPS", "tokens/sec", TimeWeighted Float, 10 Active, [LARGER_IS_BETTER], Aiperf,
        "Decode throughput over the time in which a request decodes.";
    ACTIVE_PREFILL_THROUGHPUT = "active_prefill_throughput", "Active Prefill Throughput", "Active Prefill TPS", "tokens/sec", TimeWeighted Float, 20 Active, [LARGER_IS_BETTER], Aiperf,
        "Prefill throughput over the time in which a request prefills.";
    ACTIVE_DECODE_THROUGHPUT_PER_USER = "active_decode_throughput_per_user", "Active Decode Throughput Per User", "Active Decode TPS Per User", "tokens/sec/user", TimeWeighted Float, 30 Active, [LARGER_IS_BETTER], Aiperf,
        "Decode throughput per user over the time in which a request decodes.";
    ACTIVE_PREFILL_THROUGHPUT_PER_USER = "active_prefill_throughput_per_user", "Active Prefill Throughput Per User", "Active Prefill TPS Per User", "tokens/sec/user", TimeWeighted Float, 40 Active, [LARGER_IS_BETTER], Aiperf,
        "Prefill throughput per user over the time in which a request prefills.";
    ACTIVE_TOTAL_THROUGHPUT = "active_total_throughput", "Active Total Throughput", "Active Total TPS", "tokens/sec", TimeWeighted Float, 50 Active, [LARGER_IS_BETTER], Aiperf,
        "Total throughput over the time in which a request is in flight.";
}
