//! What is only for a sandbox does not exist anywhere else, whoever asks.

use super::rig::Rig;
use beem_proto::{Contract, Method};
use beem_roles::RoleSet;

const MARK: &str = "sandbox only";

fn sandbox_methods() -> Vec<Method> {
    let contract = Contract::load().unwrap();
    let methods: Vec<Method> = contract.methods().filter(|m| m.sandbox).cloned().collect();
    assert!(!methods.is_empty());
    methods
}

#[tokio::test(start_paused = true)]
async fn in_a_sandbox_its_methods_are_there() {
    let rig = Rig::new();
    for method in sandbox_methods() {
        let line = format!("{} {}", method.http[0].verb.as_str(), method.http[0].template);
        // Nobody is let in, but there is something to be let in to; and the path has no other verb.
        assert_eq!(rig.ask(&line).send().await.status, 401, "{line}");
        rig.ask(&format!("TRACE {}", method.http[0].template))
            .send()
            .await
            .refused(405, "method-not-allowed");
        let name = format!("\"{}\"", method.name);
        assert!(rig.ask("GET /openapi.json").send().await.json.to_string().contains(&name));
        let page = rig.ask("GET /docs").text().await;
        assert!(page.contains(&name) && page.contains(MARK));
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_live_installation_they_do_not_exist() {
    let rig = Rig::of("live", |_| {});
    let person = rig.person(RoleSet::ALL);
    for method in sandbox_methods() {
        for binding in &method.http {
            let line = format!("{} {}", binding.verb.as_str(), binding.template);
            rig.ask(&line).send().await.refused(404, "not-found");
            rig.ask(&line).bearer(&person.token).json("{}").send().await.refused(404, "not-found");
        }
        let (document, page) =
            (rig.ask("GET /openapi.json").send().await.json, rig.ask("GET /docs").text().await);
        assert!(document["paths"].is_object() && page.contains("</html>"));
        for text in [document.to_string(), page] {
            assert!(
                !text.contains(&method.name) && !text.contains(&method.http[0].template),
                "{}",
                method.path
            );
        }
    }
    assert_eq!(rig.state(|s| s.subjects.len()), 0);
    rig.me(&person).await.fine();
}
