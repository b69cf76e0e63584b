use crate::host::{TestHost, json, stable};

#[tokio::test]
async fn the_in_house_model_is_listed_and_found_with_raw_and_encoded_slashes() {
    let host = TestHost::start().await;
    let list = json(host.get("/v1/models").send().await.expect("answered"), 200).await;
    insta::assert_json_snapshot!("list", stable(list.clone()));
    for path in ["/v1/models/local/smollm2-135m-instruct", "/v1/models/local%2Fsmollm2-135m-instruct"] {
        let one = json(host.get(path).send().await.expect("answered"), 200).await;
        assert_eq!(one, list["data"][0]);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_mistyped_model_is_answered_with_its_neighbour() {
    let host = TestHost::start().await;
    let refused =
        json(host.get("/v1/models/local/smollm2-135-instruct").send().await.expect("answered"), 404).await;
    insta::assert_json_snapshot!("mistyped", stable(refused));
    host.stop().await;
}
