//! Load and input flags become the engine's load and dataset configuration.

use tokmeter_engine::dataset::config::{
    Content, CorpusStyle, DatasetConfig, ImageConfig, PrefixConfig, PromptConfig, RankingsConfig, TurnsConfig,
};
use tokmeter_engine::endpoint::EndpointType;
use tokmeter_engine::schedule::LoadConfig;

use crate::args::profile::{InputArgs, ProfileArgs};
use crate::args::swept::value;

/// The load of a run.
pub fn load(args: &ProfileArgs) -> LoadConfig {
    let (load, warmup) = (&args.load, &args.warmup);
    LoadConfig {
        concurrency: value(&load.concurrency),
        prefill_concurrency: value(&load.prefill_concurrency),
        request_rate: value(&load.request_rate),
        arrival_pattern: load.arrival_pattern,
        arrival_smoothness: load.arrival_smoothness,
        request_rate_series: load.request_rate_series.clone(),
        concurrency_ramp_duration: load.concurrency_ramp_duration,
        prefill_concurrency_ramp_duration: load.prefill_concurrency_ramp_duration,
        request_rate_ramp_duration: load.request_rate_ramp_duration,
        request_count: value(&load.request_count),
        conversation_num: value(&args.input.conversation_num),
        benchmark_duration: value(&load.benchmark_duration),
        benchmark_grace_period: load.benchmark_grace_period,
        fixed_schedule: load.fixed_schedule,
        no_fixed_schedule: load.no_fixed_schedule,
        fixed_schedule_auto_offset: load.fixed_schedule_auto_offset,
        fixed_schedule_start_offset: load.fixed_schedule_start_offset,
        fixed_schedule_end_offset: load.fixed_schedule_end_offset,
        replay_speedup: load.replay_speedup,
        user_centric_rate: load.user_centric_rate,
        num_users: value(&load.num_users),
        request_cancellation_rate: load.request_cancellation_rate,
        request_cancellation_delay: load.request_cancellation_delay,
        failed_request_threshold: load.failed_request_threshold,
        warmup_request_count: warmup.warmup_request_count,
        warmup_duration: warmup.warmup_duration,
        num_warmup_sessions: warmup.num_warmup_sessions,
        warmup_concurrency: warmup.warmup_concurrency,
        warmup_prefill_concurrency: warmup.warmup_prefill_concurrency,
        warmup_request_rate: warmup.warmup_request_rate,
        warmup_arrival_pattern: warmup.warmup_arrival_pattern,
        warmup_grace_period: warmup.warmup_grace_period,
        warmup_concurrency_ramp_duration: warmup.warmup_concurrency_ramp_duration,
        warmup_request_rate_ramp_duration: warmup.warmup_request_rate_ramp_duration,
        warmup_prefill_concurrency_ramp_duration: warmup.warmup_prefill_concurrency_ramp_duration,
    }
}

/// What is asked of the server.
pub fn dataset(input: &InputArgs, endpoint: EndpointType) -> DatasetConfig {
    let ranking = matches!(
        endpoint,
        EndpointType::CohereRankings | EndpointType::HfTeiRankings | EndpointType::NimRankings
    );
    let (turns, image, rankings) =
        (TurnsConfig::default(), ImageConfig::default(), RankingsConfig::default());
    DatasetConfig {
        input_file: input.input_file.clone(),
        custom_dataset_type: input.custom_dataset_type,
        num_dataset_entries: input.num_dataset_entries,
        dataset_sampling_strategy: input.dataset_sampling_strategy,
        content: if ranking { Content::Ranking } else { Content::Text },
        prompt: PromptConfig {
            isl: value(&input.prompt_input_tokens_mean),
            isl_stddev: value(&input.prompt_input_tokens_stddev),
            isl_block_size: input.prompt_input_tokens_block_size,
            osl: value(&input.prompt_output_tokens_mean),
            osl_stddev: value(&input.prompt_output_tokens_stddev),
            seq_dist: input.seq_dist.clone(),
            random_range_ratio: input.random_range_ratio.clone(),
            random_corpus_style: input.random_corpus_style,
            corpus: input.prompt_corpus.unwrap_or(CorpusStyle::Sonnet),
            batch_size: input.prompt_batch_size.unwrap_or(1),
        },
        prefix: PrefixConfig {
            num_prefix_prompts: input.prompt_prefix_pool_size.unwrap_or(0),
            prefix_prompt_length: input.prompt_prefix_length.unwrap_or(0),
            shared_system_prompt_length: input.shared_system_prompt_length,
            user_context_prompt_length: input.user_context_prompt_length,
            system_prompt: input.system_prompt.clone(),
            system_prompt_file: input.system_prompt_file.clone(),
        },
        turns: TurnsConfig {
            mean: value(&input.conversation_turn_mean).unwrap_or(turns.mean),
            stddev: input.conversation_turn_stddev.unwrap_or(turns.stddev),
            delay_mean: input.conversation_turn_delay_mean.unwrap_or(turns.delay_mean),
            delay_stddev: input.conversation_turn_delay_stddev.unwrap_or(turns.delay_stddev),
            delay_ratio: input.conversation_turn_delay_ratio.unwrap_or(turns.delay_ratio),
            delay_cap: input.inter_turn_delay_cap_seconds,
        },
        image: ImageConfig {
            width_mean: input.image_width_mean.unwrap_or(image.width_mean),
            width_stddev: input.image_width_stddev.unwrap_or(image.width_stddev),
            height_mean: input.image_height_mean.unwrap_or(image.height_mean),
            height_stddev: input.image_height_stddev.unwrap_or(image.height_stddev),
            batch_size: input.image_batch_size.unwrap_or(image.batch_size),
            source: input.image_source.clone(),
        },
        rankings: RankingsConfig {
            passages_mean: input.rankings_passages_mean.unwrap_or(rankings.passages_mean),
            passages_stddev: input.rankings_passages_stddev.unwrap_or(rankings.passages_stddev),
            passage_tokens_mean: input
                .rankings_passages_prompt_token_mean
                .unwrap_or(rankings.passage_tokens_mean),
            passage_tokens_stddev: input
                .rankings_passages_prompt_token_stddev
                .unwrap_or(rankings.passage_tokens_stddev),
            query_tokens_mean: input.rankings_query_prompt_token_mean.unwrap_or(rankings.query_tokens_mean),
            query_tokens_stddev: input
                .rankings_query_prompt_token_stddev
                .unwrap_or(rankings.query_tokens_stddev),
        },
        cache_bust: input.cache_bust,
    }
}
