//! `courier dead`, in both modes.

use courier::Error;
use courier::dead::{self, Operation, Selection};
use serde_json::Value;

use crate::support::application::Reaction::{Accept, Refuse};
use crate::support::process::run;
use crate::support::{Bed, eventually, in_both_modes};

in_both_modes!(
    replayed_dead_letter_is_delivered,
    dropped_dead_letter_is_deleted,
    unknown_id_changes_nothing,
    command_lists_shows_replays_and_drops,
);

/// Creates three dead letters, and stops the courier. Returns their ids.
async fn three_dead_letters(bed: &mut Bed) -> Vec<String> {
    bed.application.script(|_| Refuse(422, "invalid body"));
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(bed.enqueue("katas.receipts", &format!("{{\"n\":{number}}}")).await);
    }
    bed.start();
    eventually("dead letters are stored", async || bed.dead().await.len() == 3).await;
    bed.stop().await;
    ids.sort();
    ids
}

async fn ids(bed: &Bed) -> Vec<String> {
    let mut ids: Vec<String> = bed.dead().await.into_iter().map(|entry| entry.id).collect();
    ids.sort();
    ids
}

async fn apply(bed: &Bed, ids: &[&String], operation: Operation) -> Result<usize, Error> {
    let ids = Selection::Ids(ids.iter().map(|&id| id.clone()).collect());
    dead::apply(&bed.source(), &ids, operation).await
}

async fn replayed_dead_letter_is_delivered(mut bed: Bed) {
    let letters = three_dead_letters(&mut bed).await;
    bed.application.script(|_| Accept);
    assert_eq!(apply(&bed, &[&letters[1]], Operation::Replay).await, Ok(1));
    assert_eq!(ids(&bed).await, [letters[0].clone(), letters[2].clone()]);
    bed.start();
    eventually("it is delivered", async || bed.application.effects().contains_key(&letters[1]))
        .await;
    assert_eq!(bed.application.effects().len(), 1);
    let all = dead::apply(&bed.source(), &Selection::All, Operation::Replay).await;
    assert_eq!(all, Ok(2));
    bed.finish(3).await;
}

async fn dropped_dead_letter_is_deleted(mut bed: Bed) {
    let letters = three_dead_letters(&mut bed).await;
    assert_eq!(apply(&bed, &[&letters[0], &letters[2]], Operation::Drop).await, Ok(2));
    assert_eq!(ids(&bed).await, [letters[1].clone()]);
    assert_eq!(dead::apply(&bed.source(), &Selection::All, Operation::Drop).await, Ok(1));
    assert_eq!(ids(&bed).await, [""; 0]);
}

async fn unknown_id_changes_nothing(mut bed: Bed) {
    let letters = three_dead_letters(&mut bed).await;
    let unknown = "unknown".to_owned();
    for operation in [Operation::Replay, Operation::Drop] {
        let result = apply(&bed, &[&letters[0], &unknown], operation).await;
        assert_eq!(result, Err(Error::NotFound(unknown.clone())));
        assert_eq!(ids(&bed).await, letters);
    }
}

async fn command_lists_shows_replays_and_drops(mut bed: Bed) {
    let letters = three_dead_letters(&mut bed).await;
    let courier = |arguments: &str| {
        let output = run(&bed, &arguments.split(' ').collect::<Vec<_>>());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.code(), text.trim_end().to_owned())
    };
    let (code, list) = courier("dead list");
    assert_eq!((code, list.lines().count()), (Some(0), 4), "{list}");
    assert!(list.contains(&letters[0]) && list.contains("HTTP 422: invalid body"), "{list}");
    let (_, list) = courier("dead list --format json");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(3), "{list}");
    let (code, shown) = courier(&format!("dead show {}", letters[0]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((code, shown["id"].as_str()), (Some(0), Some(letters[0].as_str())));
    assert!(shown["body"].as_str().is_some_and(|body| body.starts_with("{\"n\":")), "{shown}");
    let replayed = courier(&format!("dead replay {}", letters[0]));
    assert_eq!(replayed, (Some(0), "dead letters replayed: 1".to_owned()));
    let dropped = courier("dead drop --all");
    assert_eq!(dropped, (Some(0), "dead letters dropped: 2".to_owned()));
    let (code, _) = courier("dead show unknown");
    assert_eq!(code, Some(4));
}
