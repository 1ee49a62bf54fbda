//! Apply, Get, List, Watch, History, Rollback.

use super::*;

fn group(name: &str, port: u32) -> String {
    format!("{{kind: TargetGroup, name: {name}, protocol: HTTP, port: {port}}}")
}

fn names(resources: &[v1::Resource]) -> Vec<String> {
    let keys = resources.iter().filter_map(v1::Resource::key);
    keys.map(|key| key.name).collect()
}

#[tokio::test]
async fn what_was_applied_can_be_read_with_its_targets_and_its_author() {
    let server = Server::start().await;
    let mut request = tonic::Request::new(v1::ApplyRequest {
        upserts: upserts(SHOP),
        message: "open the shop".to_owned(),
        ..Default::default()
    });
    request
        .metadata_mut()
        .insert("inlet-author", "alice".parse().unwrap());
    let answer = server.configuration().apply(request).await.unwrap();
    let answer = answer.into_inner();
    assert!(answer.committed);
    assert_eq!(answer.revision, 1);

    let request = v1::GetRequest {
        key: Some(key("TargetGroup", "web")),
    };
    let got = server.configuration().get(request).await.unwrap();
    let got = got.into_inner();
    assert_eq!(got.revision, 1);
    match got.resource.unwrap().kind.unwrap() {
        v1::resource::Kind::TargetGroup(group) => assert_eq!(group.targets.len(), 2),
        other => panic!("{other:?}"),
    }

    let history = server
        .configuration()
        .history(v1::HistoryRequest::default())
        .await
        .unwrap()
        .into_inner();
    let revision = &history.revisions[0];
    assert_eq!(revision.author, "alice");
    assert_eq!(revision.message, "open the shop");
    assert_eq!(history.current_revision, 1);
    server.running.shutdown().await;
}

#[tokio::test]
async fn lists_come_in_pages_that_together_are_everything_once() {
    let server = Server::start().await;
    let groups: Vec<String> = (0..25).map(|n| group(&format!("g{n:02}"), 80)).collect();
    server.apply(&groups.join("\n---\n")).await;
    server.apply(SHOP).await;
    let mut request = v1::ListRequest {
        page_size: 7,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = server.configuration().list(request.clone()).await.unwrap();
        let page = page.into_inner();
        assert!(page.resources.len() <= 7);
        found.extend(names(&page.resources));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let mut expected = vec!["shop".to_owned()];
    expected.extend((0..25).map(|n| format!("g{n:02}")));
    expected.extend(["web".to_owned(), "shop/http".to_owned()]);
    assert_eq!(found, expected);
    server.running.shutdown().await;
}

#[tokio::test]
async fn lists_look_at_kinds_parents_and_filters() {
    let server = Server::start().await;
    server.apply(SHOP).await;
    server.apply(&group("other", 9100)).await;
    for (kind, parent, filter, expected) in [
        ("TargetGroup", "", "", &["other", "web"][..]),
        ("TargetGroup", "", "port = 9100", &["other"]),
        ("TargetGroup", "", "targets.address = 127.0.0.2", &["web"]),
        (
            "LoadBalancer",
            "",
            "tags.team : store AND type = APPLICATION",
            &["shop"],
        ),
        ("LoadBalancer", "", "tags.team != storefront", &[]),
        ("", "", "kind = Listener", &["shop/http"]),
        ("Listener", "shop", "", &["shop/http"]),
        ("Rule", "shop/http", "", &[]),
        (
            "Target",
            "web",
            "",
            &["web/127.0.0.1:9001", "web/127.0.0.2:9001"],
        ),
    ] {
        let request = v1::ListRequest {
            kind: kind.to_owned(),
            parent: parent.to_owned(),
            filter: filter.to_owned(),
            ..Default::default()
        };
        let page = server.configuration().list(request).await.unwrap();
        let found = names(&page.into_inner().resources);
        assert_eq!(found, expected, "{kind} {parent} {filter}");
    }
    server.running.shutdown().await;
}

/// The next revision of a watch: its number, and the names of what it changed.
async fn next(stream: &mut Streaming<v1::Revision>) -> (u64, Vec<String>) {
    let revision = timeout(DEADLINE, stream.message()).await.unwrap();
    let revision = revision.unwrap().unwrap();
    let keys = revision.changes.into_iter().filter_map(|change| change.key);
    (revision.revision, keys.map(|key| key.name).collect())
}

#[tokio::test]
async fn watching_resumes_where_it_was_left_and_goes_on() {
    let server = Server::start().await;
    for name in ["one", "two", "three"] {
        server.apply(&group(name, 80)).await;
    }
    let watch = |after: Option<u64>, kinds: &[&str]| {
        let request = v1::WatchRequest {
            after_revision: after,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let mut client = server.configuration();
        async move { client.watch(request).await.map(tonic::Response::into_inner) }
    };
    let mut resumed = watch(Some(1), &[]).await.unwrap();
    let mut fresh = watch(None, &[]).await.unwrap();
    let mut balancers = watch(Some(0), &["LoadBalancer"]).await.unwrap();
    assert_eq!(next(&mut resumed).await, (2, vec!["two".to_owned()]));
    assert_eq!(next(&mut resumed).await, (3, vec!["three".to_owned()]));

    server.apply(&group("four", 80)).await;
    let four = (4, vec!["four".to_owned()]);
    assert_eq!(next(&mut resumed).await, four);
    assert_eq!(next(&mut fresh).await, four);

    server.apply(SHOP).await;
    assert_eq!(next(&mut balancers).await, (5, vec!["shop".to_owned()]));

    let ahead = watch(Some(99), &[]).await.unwrap_err();
    assert_eq!(ahead.code(), tonic::Code::OutOfRange);
    let unknown = watch(None, &["Rul"]).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::InvalidArgument);

    server.running.shutdown().await;
    let end = timeout(DEADLINE, fresh.message()).await.unwrap();
    match end {
        Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable),
        Ok(message) => assert_eq!(message.unwrap().revision, 5),
    }
}

#[tokio::test]
async fn history_comes_in_pages_and_can_be_rolled_back_to() {
    let server = Server::start().await;
    for name in ["one", "two", "three", "four", "five"] {
        server.apply(&group(name, 80)).await;
    }
    let mut request = v1::HistoryRequest {
        page_size: 2,
        summary: true,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = server.configuration().history(request.clone()).await;
        let page = page.unwrap().into_inner();
        for revision in &page.revisions {
            assert!(revision.changes.iter().all(|change| change.after.is_none()));
            found.push(revision.revision);
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, [5, 4, 3, 2, 1]);

    let one = v1::HistoryRequest {
        revision: Some(3),
        ..Default::default()
    };
    let one = server.configuration().history(one).await.unwrap();
    let one = one.into_inner().revisions;
    assert_eq!((one.len(), one[0].revision), (1, 3));
    assert!(one[0].changes[0].after.is_some());

    let request = v1::RollbackRequest {
        revision: 2,
        ..Default::default()
    };
    let answer = server.configuration().rollback(request).await.unwrap();
    assert_eq!(answer.into_inner().revision, 6);
    let request = v1::ListRequest {
        kind: "TargetGroup".to_owned(),
        ..Default::default()
    };
    let list = server.configuration().list(request).await.unwrap();
    assert_eq!(names(&list.into_inner().resources), ["one", "two"]);
    server.running.shutdown().await;
}
