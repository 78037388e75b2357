//! A database that an earlier release has worked with.

use crate::on_both;
use crate::rig::Rig;
use beem_database::Sql as _;
use beem_ids::{HookId, RequestId};
use beem_servicetest::base;
use sea_orm::Value;

on_both!(what_an_earlier_release_has_left_is_brought_up_to_date,);

async fn what_an_earlier_release_has_left_is_brought_up_to_date(rig: Rig) {
    let folder = tempfile::tempdir().unwrap();
    let db = base::connect(&rig.base.fresh(folder.path(), "old"), &rig.clock, &rig.entropy).await;
    let all = beem_hooks::migrations();
    let first = all.iter().position(|migration| migration.name == "hooks-1").unwrap();
    db.migrate(&all[..=first]).await.unwrap();
    let draw = || RequestId::draw(rig.clock.now(), &rig.entropy).0;
    let hooks = [(); 3].map(|()| HookId(draw()));
    let run = async |sql: &str, values: Vec<Value>| {
        let (sql, values) = (&sql, &values);
        db.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await })).await.unwrap();
    };
    for (hook, deleted_ms) in [(hooks[0], "NULL"), (hooks[1], "NULL"), (hooks[2], "77")] {
        let sql = format!(
            "INSERT INTO hooks (id, account_id, url, event_codes, areas, enabled, created_by, created_ms, updated_ms,
                deleted_ms) VALUES ($1, $1, 'https://a.example', '[]', 0, $2, $1, 1, 1, {deleted_ms})"
        );
        run(&sql, vec![hook.0.into(), true.into()]).await;
        let sql = "INSERT INTO hook_keys (hook, number, rsa_public, rsa_private, ed25519_public, ed25519_private, secret,
            created_ms) VALUES ($1, 1, $2, $2, $2, $2, $2, 1)";
        run(sql, vec![hook.0.into(), vec![0_u8].into()]).await;
    }
    for (hook, after, until) in [(0, 5, 20), (0, 3, 10), (1, 7, 8), (0, 9, 30)] {
        let sql = "INSERT INTO replays (id, hook, after_position, until_position, created_ms) VALUES ($1, $2, $3, $4, 1)";
        let (after, until) = (i64::from(after), i64::from(until));
        run(sql, vec![draw().into(), hooks[hook].0.into(), after.into(), until.into()]).await;
    }
    db.migrate(&all).await.unwrap();
    let rows = db
        .read()
        .rows("SELECT hook, after_position, until_position FROM replays ORDER BY after_position", vec![])
        .await;
    let replays: Vec<(uuid::Uuid, i64, i64)> = rows
        .unwrap()
        .iter()
        .map(|row| {
            let position = |column: &str| row.try_get::<i64>("", column).unwrap();
            (row.try_get("", "hook").unwrap(), position("after_position"), position("until_position"))
        })
        .collect();
    assert_eq!(replays, [(hooks[0].0, 3, 30), (hooks[1].0, 7, 8)]);
    let rows = db.read().rows("SELECT hook FROM hook_keys WHERE retires_ms = 77", vec![]).await.unwrap();
    let retired: Vec<uuid::Uuid> = rows.iter().map(|row| row.try_get("", "hook").unwrap()).collect();
    assert_eq!(retired, [hooks[2].0]);
    let rows = db.read().rows("SELECT hook FROM hook_keys WHERE retires_ms IS NULL", vec![]).await.unwrap();
    assert_eq!(rows.len(), 2);
}
