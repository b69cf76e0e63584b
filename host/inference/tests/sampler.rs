//! How the next token is chosen: what each parameter promises, for any scores.

use std::collections::HashSet;

use atelier_inference::{ChatRequest, ModelError, Role, Sampler};
use proptest::prelude::*;

fn request(change: impl FnOnce(&mut ChatRequest)) -> ChatRequest {
    let mut request = ChatRequest::new([(Role::User, "x")]).with_sampling(1.0, 1.0, 1);
    change(&mut request);
    request
}

fn sampler(change: impl FnOnce(&mut ChatRequest)) -> Sampler {
    Sampler::new(&request(change), &[], None).expect("a sampler")
}

/// As many tokens as asked, each from the same scores.
fn draws(sampler: &mut Sampler, scores: &[f32], count: usize) -> Vec<u32> {
    (0..count).map(|_| sampler.choose(scores).expect("a choice").token).collect()
}

fn softmax(scores: &[f32], temperature: f64) -> Vec<f64> {
    let weights: Vec<f64> = scores.iter().map(|score| (f64::from(*score) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Tokens by their score, best first.
fn ranking(scores: &[f32]) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..scores.len() as u32).collect();
    ids.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b)));
    ids
}

fn scores() -> impl Strategy<Value = Vec<f32>> {
    // Coarse steps, so that there are equals.
    prop::collection::vec((-40..40_i32).prop_map(|step| step as f32 / 8.0), 2..300)
}

/// Shares of many draws, and the largest that each may be away from its probability: five standard deviations.
fn assert_distribution(drawn: &[u32], expected: &[f64]) {
    let count = drawn.len() as f64;
    for (token, probability) in expected.iter().enumerate() {
        let share = drawn.iter().filter(|id| **id as usize == token).count() as f64 / count;
        let bound = 5.0 * (probability * (1.0 - probability) / count).sqrt() + 1e-9;
        assert!(
            (share - probability).abs() <= bound,
            "token {token} was drawn {share}, its probability is {probability}"
        );
    }
}

#[test]
fn many_draws_are_distributed_as_the_softmax_at_each_temperature() {
    let scores = [1.0, 0.0, -1.0, 2.5, 2.0, -3.0];
    for temperature in [0.5, 1.0, 1.7] {
        let mut sampler = sampler(|request| request.temperature = temperature);
        let drawn = draws(&mut sampler, &scores, 40_000);
        assert_distribution(&drawn, &softmax(&scores, f64::from(temperature)));
    }
}

#[test]
fn what_the_filters_keep_is_drawn_by_its_share_of_what_is_kept() {
    let scores: Vec<f32> = [0.5_f32, 0.25, 0.125, 0.0625, 0.0625].iter().map(|p| p.ln()).collect();
    let kept = |shares: [f64; 5]| shares.map(|share| share / shares.iter().sum::<f64>());
    type Change = fn(&mut ChatRequest);
    let cases: [(Change, [f64; 5]); 5] = [
        (|request| request.top_k = Some(2), kept([0.5, 0.25, 0.0, 0.0, 0.0])),
        (|request| request.top_p = 0.74, kept([0.5, 0.25, 0.0, 0.0, 0.0])),
        (|request| request.top_p = 0.76, kept([0.5, 0.25, 0.125, 0.0, 0.0])),
        (|request| request.min_p = 0.24, kept([0.5, 0.25, 0.125, 0.0, 0.0])),
        // Of the two likeliest, the first alone has 60 %: top-p looks at what top-k has left.
        (|request| (request.top_k, request.top_p) = (Some(2), 0.6), kept([0.5, 0.0, 0.0, 0.0, 0.0])),
    ];
    for (case, (change, expected)) in cases.into_iter().enumerate() {
        let drawn = draws(&mut sampler(change), &scores, 20_000);
        assert!(
            drawn.iter().all(|token| expected[*token as usize] > 0.0),
            "case {case} drew what it should have left out"
        );
        assert_distribution(&drawn, &expected);
    }
}

proptest! {
    #[test]
    fn top_k_draws_from_the_k_best_alone(scores in scores(), k in 1..20_u32, seed: u64) {
        let best: HashSet<u32> = ranking(&scores).into_iter().take(k as usize).collect();
        let mut sampler = sampler(|request| (request.top_k, request.seed) = (Some(k), Some(seed)));
        for token in draws(&mut sampler, &scores, 20) {
            prop_assert!(best.contains(&token));
        }
    }

    #[test]
    fn top_p_draws_from_the_smallest_nucleus_that_reaches_it(scores in scores(), top_p in 0.01..0.999_f32, seed: u64) {
        let probabilities = softmax(&scores, 1.0);
        let mut mass = 0.0;
        let mut nucleus = HashSet::new();
        for token in ranking(&scores) {
            // A token at the very edge may fall either way by rounding.
            if mass >= f64::from(top_p) + 1e-9 {
                break;
            }
            mass += probabilities[token as usize];
            nucleus.insert(token);
        }
        let mut sampler = sampler(|request| (request.top_p, request.seed) = (top_p, Some(seed)));
        for token in draws(&mut sampler, &scores, 20) {
            prop_assert!(nucleus.contains(&token));
        }
    }

    #[test]
    fn min_p_draws_nothing_below_its_share_of_the_best(scores in scores(), min_p in 0.01..1.0_f32, seed: u64) {
        let probabilities = softmax(&scores, 1.0);
        let best = probabilities.iter().copied().fold(0.0, f64::max);
        let mut sampler = sampler(|request| (request.min_p, request.seed) = (min_p, Some(seed)));
        for token in draws(&mut sampler, &scores, 20) {
            prop_assert!(probabilities[token as usize] >= f64::from(min_p) * best * (1.0 - 1e-9));
        }
    }

    #[test]
    fn a_bias_of_minus_100_rules_a_token_out_and_greed_takes_the_best_left(scores in scores(), banned in 0..299_u32, seed: u64) {
        let banned = banned % scores.len() as u32;
        let bias = |request: &mut ChatRequest| (request.logit_bias, request.seed) = (vec![(banned, -100.0)], Some(seed));
        let mut drawing = sampler(bias);
        prop_assert!(draws(&mut drawing, &scores, 20).iter().all(|token| *token != banned));
        let mut greedy = sampler(|request| { bias(request); request.temperature = 0.0; });
        let best = ranking(&scores).into_iter().find(|token| *token != banned);
        prop_assert_eq!(Some(greedy.choose(&scores).expect("a choice").token), best);
    }

    #[test]
    fn a_bias_of_100_is_all_but_exclusive(scores in scores(), wanted in 0..299_u32) {
        let wanted = wanted % scores.len() as u32;
        let mut sampler = sampler(|request| request.logit_bias = vec![(wanted, 100.0)]);
        prop_assert_eq!(draws(&mut sampler, &scores, 5), vec![wanted; 5]);
    }

    #[test]
    fn a_seed_draws_the_same_again_and_another_seed_something_else(scores in scores(), seed: u64) {
        let drawn = |seed| draws(&mut sampler(|request| (request.seed, request.top_p) = (Some(seed), 0.95)), &scores, 30);
        prop_assert_eq!(drawn(seed), drawn(seed));
        let flat = vec![0.0; 300];
        let of_flat = |seed| draws(&mut sampler(|request| request.seed = Some(seed)), &flat, 30);
        prop_assert_ne!(of_flat(seed), of_flat(seed.wrapping_add(1)));
    }

    #[test]
    fn penalties_never_raise_what_stands_already_and_touch_nothing_else(
        scores in scores(), token in 0..299_u32, weak in 0.0..2.0_f32, more in 0.0..2.0_f32,
    ) {
        let token = token % scores.len() as u32;
        // The chance of a token that was chosen once before, after a penalty: its log probability is told of the raw scores, so it is
        // drawn instead, with the seed held fast; a draw is monotone in the token's weight where it is the only one that changes.
        let strong = (weak + more).min(2.0);
        let chosen_again = |penalty: fn(&mut ChatRequest, f32), strength: f32| {
            let mut count = 0;
            for seed in 0..40 {
                let mut sampler = sampler(|request| { penalty(request, strength); request.seed = Some(seed); });
                let mut only = vec![-1e30_f32; scores.len()];
                only[token as usize] = 0.0;
                assert_eq!(sampler.choose(&only).expect("a choice").token, token);
                // The token against a token of the same score that never stood there.
                let mut duel = vec![-1e30_f32; scores.len() + 1];
                duel[token as usize] = scores[token as usize];
                duel[scores.len()] = scores[token as usize];
                count += usize::from(sampler.choose(&duel).expect("a choice").token == token);
            }
            count
        };
        let penalties: [fn(&mut ChatRequest, f32); 3] = [
            |request, strength| request.frequency_penalty = strength,
            |request, strength| request.presence_penalty = strength,
            |request, strength| request.repetition_penalty = 1.0 + strength,
        ];
        for penalty in penalties {
            let (none, less, most) = (chosen_again(penalty, 0.0), chosen_again(penalty, weak), chosen_again(penalty, strong));
            prop_assert!(none >= less && less >= most, "{none} {less} {most}");
        }
    }

    #[test]
    fn log_probabilities_are_the_log_softmax_of_the_raw_scores(scores in scores(), top in 0..21_u8) {
        let mut sampler = sampler(|request| {
            request.top_logprobs = Some(top);
            (request.temperature, request.frequency_penalty, request.logit_bias) = (0.3, 1.5, vec![(0, 7.0)]);
        });
        let probabilities = softmax(&scores, 1.0);
        for _ in 0..3 {
            let choice = sampler.choose(&scores).expect("a choice");
            let told = choice.logprobs.expect("they were asked for");
            prop_assert!((told.chosen - probabilities[choice.token as usize].ln()).abs() < 1e-6);
            let best: Vec<u32> = ranking(&scores).into_iter().take(usize::from(top)).collect();
            prop_assert_eq!(told.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), best);
            for (token, logprob) in told.top {
                prop_assert!((logprob - probabilities[token as usize].ln()).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn frequency_counts_every_time_and_presence_once() {
    // Two tokens 1 apart: a penalty of 0.4 turns the order after three times by frequency (and back), never by presence.
    let scores = [1.0, 0.0];
    let greedy = |change: fn(&mut ChatRequest)| {
        draws(
            &mut sampler(|request| {
                request.temperature = 0.0;
                change(request);
            }),
            &scores,
            6,
        )
    };
    assert_eq!(greedy(|request| request.frequency_penalty = 0.4), [0, 0, 0, 1, 0, 1]);
    assert_eq!(greedy(|request| request.presence_penalty = 0.4), [0; 6]);
    assert_eq!(greedy(|request| request.presence_penalty = 1.5), [0, 1, 0, 0, 0, 0]);
}

#[test]
fn the_repetition_penalty_looks_at_the_prompt_too_and_the_others_do_not() {
    let scores = [2.0, 1.5];
    let first = |change: fn(&mut ChatRequest)| {
        let request = request(|request| {
            request.temperature = 0.0;
            change(request);
        });
        Sampler::new(&request, &[0, 0], None).expect("a sampler").choose(&scores).expect("a choice").token
    };
    assert_eq!(first(|request| request.repetition_penalty = 1.5), 1);
    assert_eq!(first(|request| request.frequency_penalty = 1.5), 0);
    assert_eq!(first(|request| request.presence_penalty = 1.5), 0);
    // Below 0 it multiplies: dividing would make a token likelier.
    let request = request(|request| (request.temperature, request.repetition_penalty) = (0.0, 1.5));
    let mut sampler = Sampler::new(&request, &[0], None).expect("a sampler");
    assert_eq!(sampler.choose(&[-1.0, -1.2]).expect("a choice").token, 1);
}

#[test]
fn greed_takes_the_best_and_of_equals_the_lowest() {
    let mut sampler = sampler(|request| request.temperature = 0.0);
    assert_eq!(draws(&mut sampler, &[0.0, 3.0, 3.0, 1.0], 3), [1, 1, 1]);
}

#[test]
fn scores_that_are_no_finite_numbers_are_an_error_that_names_the_token() {
    for (bad, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        for temperature in [0.0, 1.0] {
            let mut sampler = sampler(|request| request.temperature = temperature);
            let refused = sampler.choose(&[0.0, bad, 1.0]);
            assert!(
                matches!(&refused, Err(ModelError::Compute { reason }) if reason.ends_with(&format!("token 1 is {name}"))),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_request_that_rules_every_token_out_is_refused_by_the_parameter_that_does_so() {
    for temperature in [0.0, 1.0] {
        let mut sampler = sampler(|request| {
            (request.temperature, request.logit_bias) = (temperature, vec![(0, -100.0), (1, -100.0)]);
        });
        let refused = sampler.choose(&[1.0, 2.0]);
        assert!(
            matches!(refused, Err(ModelError::Unanswerable { parameter: "logit_bias", .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn extreme_scores_and_temperatures_neither_overflow_nor_fail() {
    let scores = [f32::MAX, f32::MIN, 0.0, f32::MIN_POSITIVE];
    for temperature in [f32::MIN_POSITIVE, 1e-3, 2.0] {
        let mut sampler = sampler(|request| {
            (request.temperature, request.repetition_penalty, request.top_p) = (temperature, 0.001, 0.9);
        });
        assert_eq!(draws(&mut sampler, &scores, 3), [0, 0, 0]);
    }
}
