//! Going back: what was changed since is undone, what was deleted comes back, what may not be any more is refused.

use super::*;

const SHOP: &str = "
{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.1]}
---
{kind: TargetGroup, name: web, protocol: HTTP, port: 9001, targets: [{address: 127.0.0.1}, {address: 127.0.0.2}]}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 8080,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}
---
{kind: Rule, name: one, listener: shop/http, priority: 1, conditions: [{pathPattern: {values: [/one]}}],
 actions: [{forward: {targetGroups: [{name: web}]}}]}
";

impl Desk {
    async fn back(&self, to: u64) -> Result<Outcome, Refused> {
        let rollback = Rollback {
            to,
            ..Rollback::default()
        };
        self.writer.rollback(rollback).await
    }

    fn uid(&self, name: &str) -> String {
        let state = self.writer.state();
        state.get(&key(name)).unwrap().kept().unwrap().uid
    }

    /// Every resource without what the server keeps.
    fn content(&self) -> Vec<v1::Resource> {
        let state = self.writer.state();
        let bare = |resource: &Arc<v1::Resource>| {
            let mut resource = v1::Resource::clone(resource);
            resource.set_kept(Default::default());
            resource
        };
        state.all().map(|(_, resource)| bare(resource)).collect()
    }
}

#[tokio::test]
async fn every_kept_revision_can_be_gone_back_to() {
    let desk = Desk::open();
    let mut contents = vec![(0, desk.content())];
    let mut steps: Vec<Change> = vec![
        put(SHOP),
        put("{kind: TargetGroup, name: web, protocol: HTTP, port: 9001, targets: [{address: 127.0.0.2, weight: 3}, {address: '::1'}]}"),
        put("{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.2], tags: {a: b}}"),
        put("{kind: Rule, name: two, listener: shop/http, priority: 1, conditions: [{pathPattern: {values: [/two]}}],
             actions: [{fixedResponse: {statusCode: 200}}]}"),
    ];
    steps[3].deletions = vec![key("Rule/shop/http/one")];
    let deletions = |names: &[&str]| Change {
        deletions: names.iter().map(|name| key(name)).collect(),
        ..Change::default()
    };
    steps.push(deletions(&["LoadBalancer/shop", "TargetGroup/web"]));
    // Of the same name, and what the former could not become.
    steps.push(put("{kind: TargetGroup, name: web, protocol: TCP, port: 7}
---
{kind: LoadBalancer, name: shop, type: NETWORK}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: TCP, port: 8080,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}"));
    for step in steps {
        let outcome = desk.writer.apply(step).await.unwrap();
        assert!(outcome.committed);
        contents.push((outcome.revision, desk.content()));
    }
    let last = desk.writer.state().revision();
    // There and back again, so that what is undone are rollbacks too.
    for (to, content) in contents[1..].iter().chain(contents[1..].iter().rev()) {
        let outcome = desk.back(*to).await.unwrap();
        assert_eq!(&desk.content(), content, "back to {to}");
        assert!(outcome.committed || desk.writer.state().revision() == *to || to == &last);
    }
    match desk.back(0).await.unwrap_err() {
        Refused::NotKept(not) => assert_eq!(not.revision, 0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_deleted_comes_back_as_a_new_resource_with_its_children() {
    let desk = Desk::open();
    desk.put(SHOP).await;
    let uids = |desk: &Desk| {
        let names = [
            "LoadBalancer/shop",
            "Rule/shop/http/one",
            "Target/web/127.0.0.1:9001",
        ];
        names.map(|name| desk.uid(name))
    };
    let before = uids(&desk);
    desk.delete(&["LoadBalancer/shop", "TargetGroup/web"]).await;
    let outcome = desk.back(1).await.unwrap();
    let expected = [
        "created LoadBalancer/shop",
        "created TargetGroup/web",
        "created Target/web/127.0.0.1:9001",
        "created Target/web/127.0.0.2:9001",
        "created Listener/shop/http",
        "created Rule/shop/http/one",
    ];
    assert_eq!(lines(&outcome), expected);
    let after = uids(&desk);
    assert!(before.iter().zip(&after).all(|(one, other)| one != other));
    assert_eq!(
        desk.writer.revision_record(3).unwrap().message,
        "rollback to 1"
    );
    // In the place of another of the same name, too.
    desk.delete(&["LoadBalancer/shop"]).await;
    desk.put("{kind: LoadBalancer, name: shop, type: NETWORK}")
        .await;
    let in_between = desk.uid("LoadBalancer/shop");
    let outcome = desk.back(3).await.unwrap();
    assert_eq!(lines(&outcome)[0], "changed LoadBalancer/shop");
    assert!(![&in_between, &after[0]].contains(&&desk.uid("LoadBalancer/shop")));
}

#[tokio::test]
async fn going_back_takes_what_a_change_takes() {
    let desk = Desk::open();
    desk.put(&group("a")).await;
    desk.put(&group("b")).await;
    let rollback = Rollback {
        to: 1,
        author: "bob".to_owned(),
        message: "b was a mistake".to_owned(),
        ..Rollback::default()
    };
    let tried = Rollback {
        validate_only: true,
        ..rollback.clone()
    };
    let tried = desk.writer.rollback(tried).await.unwrap();
    assert_eq!((tried.revision, tried.committed), (2, false));
    assert_eq!(lines(&tried), ["deleted TargetGroup/b"]);
    let other = Rollback {
        expected_revision: Some(1),
        ..rollback.clone()
    };
    let refused = desk.writer.rollback(other).await.unwrap_err();
    assert_eq!(
        refused,
        Refused::Conflict {
            expected: 1,
            current: 2
        }
    );
    desk.writer.rollback(rollback).await.unwrap();
    let record = desk.writer.revision_record(3).unwrap();
    assert_eq!(
        (record.author.as_str(), record.message.as_str()),
        ("bob", "b was a mistake")
    );
    let nothing = desk.back(3).await.unwrap();
    assert_eq!((nothing.revision, nothing.committed), (3, false));
    let same = desk.back(1).await.unwrap();
    assert_eq!(
        (same.revision, same.committed),
        (3, false),
        "it is as it was"
    );
    match desk.back(9).await.unwrap_err() {
        Refused::NotKept(not) => assert_eq!((not.revision, not.current), (9, 3)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_may_not_be_any_more_is_refused_with_every_reason() {
    let desk = Desk::open();
    desk.put(&group("a")).await;
    desk.put("{kind: LoadBalancer, name: safe, type: APPLICATION, addresses: [127.0.0.1], deletionProtection: true}").await;
    desk.put("{kind: LoadBalancer, name: safe-too, type: APPLICATION, addresses: [127.0.0.1], deletionProtection: true}").await;
    let Refused::Invalid(reasons) = desk.back(1).await.unwrap_err() else {
        panic!("it is protected")
    };
    let keys: Vec<_> = reasons
        .iter()
        .map(|it| it.key.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(keys, ["LoadBalancer/safe", "LoadBalancer/safe-too"]);
    // A bound that was lowered meanwhile.
    let quotas = Quotas {
        target_groups: 1,
        ..Quotas::default()
    };
    let settings = Settings {
        quotas,
        ..Settings::default()
    };
    let desk = Desk::open();
    desk.put(&format!("{}\n---\n{}", group("a"), group("b")))
        .await;
    desk.delete(&["TargetGroup/a", "TargetGroup/b"]).await;
    let desk = Desk::with(desk.store.clone(), settings);
    let Refused::Invalid(reasons) = desk.back(1).await.unwrap_err() else {
        panic!("there would be two")
    };
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].kind, crate::model::ViolationKind::Quota);
    assert_eq!(desk.writer.state().revision(), 2);
}
