//! Never comes to an end, in the way that the query's `do` names; `trap` does at once.

use std::hint::black_box;

use edgeweir_sdk::{Error, Request, Result, crypto, log, random, viewer_request};

/// Below the default memory of 16 MiB, together with what the module starts with.
const MOST: usize = 12 << 20;

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let mut turn = 0_u8;
    match request.query_param("do").unwrap_or_default().as_str() {
        "trap" => panic!("as the query says"),
        "loop" => loop {
            turn = black_box(turn.wrapping_add(1));
        },
        // Small pieces, given back again and again, as a busy program does.
        "allocate" => loop {
            let pieces: Vec<Vec<u8>> = (0..64).map(|_| black_box(vec![turn; 16 << 10])).collect();
            turn = black_box(pieces).iter().fold(turn, |sum, piece| sum.wrapping_add(piece[0]) | 1);
        },
        // One large piece, filled by one instruction that nothing interrupts.
        "fill" => {
            let mut all = vec![0_u8; MOST];
            loop {
                turn = turn.wrapping_add(1);
                black_box(&mut all[..]).fill(turn);
            }
        }
        // Half of it copied to the other half.
        "copy" => {
            let mut all = vec![1_u8; MOST];
            loop {
                black_box(&mut all[..]).copy_within(..MOST / 2, MOST / 2);
            }
        }
        "log" => {
            // Made once: with a new one each time memory may end before time does.
            let line = "flood ".repeat(20);
            loop {
                log::write(log::Level::Info, black_box(&line));
            }
        }
        // Calls of the host that take long: as many bytes as the host takes, hashed.
        "hash" => {
            let all = vec![1_u8; (4 << 20) - 1024];
            loop {
                black_box(crypto::hash(crypto::Digest::Sha256, black_box(&all)));
            }
        }
        // Calls of the host that take little.
        "ask" => loop {
            black_box(random::bytes(4096));
        },
        other => Err(Error::new(format!("unknown: {other}"))),
    }
}
