//! Products: edits, searches, lists, and the ledger of their stock.

use holdfast_domain::{EventKind, JsonObject, Product, ProductStatus, Role, Sku};
use holdfast_store::{
    NewProduct, PageRequest, ProductFilter, ProductKey, ProductSort, Service, Stale, StoreError,
};

use crate::{
    draft::Draft,
    shop::{Shop, account, caller, eur, event, later, new_product, operation},
};

const SORTS: [ProductSort; 5] = [
    ProductSort::Oldest,
    ProductSort::Newest,
    ProductSort::Cheapest,
    ProductSort::Dearest,
    ProductSort::Name,
];

async fn save(shop: &Shop, product: &Product, kind: EventKind) -> Result<(), StoreError> {
    let lease = shop.lease(Service::Products, product.id.shard());
    let events = [event(kind, product.id.0, product.version)];
    shop.store.product_save(lease, None, product, &events).await
}

async fn skus(shop: &Shop, filter: ProductFilter) -> Vec<String> {
    let page = shop
        .store
        .products_list(&filter, ProductSort::Oldest, &PageRequest::first(200))
        .await
        .expect("lists");
    page.items.iter().map(|product| product.sku.to_string()).collect()
}

#[tokio::test]
async fn a_product_is_read_as_it_was_written() {
    let shop = Shop::open().await;
    let mut new = new_product(&shop.seller, "MUG-1", "Mug", 5);
    new.product.description = "Für Tee ☕".into();
    new.product.attributes = JsonObject::parse(r#"{"a":{"b":[1,2.5,null]},"z":""}"#).expect("an object");
    shop.create(&new).await;
    let found = shop
        .store
        .product(new.product.id)
        .await
        .expect("reads")
        .expect("a product");
    assert_eq!(found.product, new.product);
    assert_eq!(found.stock, new.initial.level);
    let ledger = shop
        .store
        .movements_list(new.product.id, &PageRequest::first(9))
        .await
        .expect("lists");
    assert_eq!(ledger.items, [new.initial]);
    shop.close().await;
}

#[tokio::test]
async fn a_repeated_creation_is_known_by_its_operation() {
    let shop = Shop::open().await;
    let mug = new_product(&shop.seller, "MUG", "Mug", 5);
    let creation = operation("POST /v1/products", "create-mug");
    let lease = shop.lease(Service::Products, mug.product.id.shard());
    shop.store
        .product_create(lease, Some(&creation), &mug)
        .await
        .expect("creates");
    let error = shop
        .store
        .product_create(lease, Some(&creation), &mug)
        .await
        .expect_err("was done before");
    assert!(matches!(error, StoreError::OperationExists), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_sku_is_taken_until_its_product_is_archived() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let twin = new_product(&shop.seller, "MUG", "Another", 5);
    let lease = shop.lease(Service::Products, twin.product.id.shard());
    let error = shop
        .store
        .product_create(lease, None, &twin)
        .await
        .expect_err("the SKU is taken");
    assert!(matches!(error, StoreError::SkuTaken), "{error:?}");
    let cup = shop.product("CUP", 5).await;
    let renamed = Product {
        sku: Sku::parse("MUG").expect("a SKU"),
        version: 2,
        ..cup
    };
    let error = save(&shop, &renamed, EventKind::ProductUpdated)
        .await
        .expect_err("the SKU is taken");
    assert!(matches!(error, StoreError::SkuTaken), "{error:?}");

    let rival = account("rival", Role::Seller);
    shop.register(&rival).await;
    shop.create(&new_product(&rival.user, "MUG", "Mug", 1)).await;
    let archived = mug.archive(1, later()).expect("a legal move");
    save(&shop, &archived, EventKind::ProductArchived)
        .await
        .expect("archives");
    shop.create(&twin).await;
    shop.close().await;
}

#[tokio::test]
async fn an_edit_of_a_stale_version_is_refused_and_selling_disturbs_no_edit() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut sale = Draft::new(&shop);
    sale.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&sale.batch).await.expect("sells");
    let edited = Product {
        name: "Big mug".into(),
        price: eur(5),
        version: 2,
        ..mug.clone()
    };
    save(&shop, &edited, EventKind::ProductUpdated)
        .await
        .expect("edits");
    let found = shop
        .store
        .product(mug.id)
        .await
        .expect("reads")
        .expect("a product");
    assert_eq!(found.product, edited);
    let Err(StoreError::Version(rows)) = save(&shop, &edited, EventKind::ProductUpdated).await else {
        panic!("the version is stale");
    };
    let version = Some(2);
    assert_eq!(
        rows,
        [Stale::Product {
            product_id: mug.id,
            version
        }]
    );
    shop.close().await;
}

#[tokio::test]
async fn products_are_found_by_name_sku_and_description() {
    let shop = Shop::open().await;
    let describe = |sku: &str, name: &str, description: &str| {
        let mut new = new_product(&shop.seller, sku, name, 1);
        new.product.description = description.to_owned();
        new
    };
    for new in [
        describe("MUG-17", "Blue mug", "Stoneware, fired twice"),
        describe("CUP-17", "Espresso cup", "Porcelain; fits the blue saucer"),
        describe("X_200/b", "Saucer", "Porcelain"),
    ] {
        shop.create(&new).await;
    }
    for (words, found) in [
        ("mug", &["MUG-17"][..]),
        ("BLUE", &["MUG-17", "CUP-17"]),
        ("blue -saucer", &["MUG-17"]),
        ("blue -saucer-less", &["MUG-17", "CUP-17"]),
        ("blue -\"blue saucer\"", &["MUG-17"]),
        ("blue -sau", &["MUG-17", "CUP-17"]),
        ("\"blue saucer\"", &["CUP-17"]),
        ("porcelain", &["CUP-17", "X_200/b"]),
        ("MUG-17", &["MUG-17"]),
        ("mug-1", &["MUG-17"]),
        ("x_200/B", &["X_200/b"]),
        ("espr", &["CUP-17"]),
        ("blue stonew", &["MUG-17"]),
        ("stonew blue", &[]),
        ("teapot", &[]),
        ("!!! ' \\ :* &", &[]),
        ("'", &[]),
        ("\\", &[]),
        ("", &[]),
    ] {
        let query = Some(words.to_owned());
        assert_eq!(
            skus(
                &shop,
                ProductFilter {
                    query,
                    ..Default::default()
                }
            )
            .await,
            found,
            "{words:?}"
        );
    }
    shop.close().await;
}

#[tokio::test]
async fn a_viewer_sees_what_is_active_and_what_is_theirs() {
    let shop = Shop::open().await;
    let (rival, admin) = (account("rival", Role::Seller), account("admin", Role::Admin));
    shop.register(&rival).await;
    shop.register(&admin).await;
    let with_status = |seller, sku, status| {
        let mut new: NewProduct = new_product(seller, sku, sku, 1);
        new.product.status = status;
        new
    };
    shop.create(&with_status(&shop.seller, "OURS", ProductStatus::Active))
        .await;
    shop.create(&with_status(&shop.seller, "OUR-DRAFT", ProductStatus::Draft))
        .await;
    shop.create(&with_status(&rival.user, "THEIR-DRAFT", ProductStatus::Draft))
        .await;
    shop.create(&with_status(&rival.user, "THEIR-OLD", ProductStatus::Archived))
        .await;

    let seen_by = async |viewer| {
        skus(
            &shop,
            ProductFilter {
                viewer,
                ..Default::default()
            },
        )
        .await
    };
    assert_eq!(seen_by(None).await, ["OURS"]);
    assert_eq!(seen_by(Some(caller(&shop.buyer))).await, ["OURS"]);
    assert_eq!(seen_by(Some(caller(&shop.seller))).await, ["OURS", "OUR-DRAFT"]);
    assert_eq!(
        seen_by(Some(caller(&rival.user))).await,
        ["OURS", "THEIR-DRAFT", "THEIR-OLD"]
    );
    let all = ["OURS", "OUR-DRAFT", "THEIR-DRAFT", "THEIR-OLD"];
    assert_eq!(seen_by(Some(caller(&admin.user))).await, all);

    let drafts = ProductFilter {
        status: Some(ProductStatus::Draft),
        viewer: Some(caller(&shop.seller)),
        ..Default::default()
    };
    assert_eq!(skus(&shop, drafts).await, ["OUR-DRAFT"]);
    let theirs = ProductFilter {
        seller_id: Some(rival.user.id),
        ..Default::default()
    };
    assert_eq!(skus(&shop, theirs).await, Vec::<String>::new());
    shop.close().await;
}

#[tokio::test]
async fn pages_of_products_are_stable_under_inserts() {
    let shop = Shop::open().await;
    let priced = |n: usize, price: i64| {
        let mut new = new_product(&shop.seller, &format!("P{n}"), &format!("name {}", n % 3), 1);
        new.product.price = eur(price);
        new
    };
    let mut made = 0;
    for _ in 0..7 {
        made += 1;
        shop.create(&priced(made, [5, 3, 5, 1][made % 4])).await;
    }
    for sort in SORTS {
        let filter = ProductFilter::default();
        let before = shop
            .store
            .products_list(&filter, sort, &PageRequest::first(200))
            .await
            .expect("lists")
            .items;
        let mut seen = Vec::new();
        let mut request = PageRequest::<ProductKey>::first(2);
        loop {
            let page = shop
                .store
                .products_list(&filter, sort, &request)
                .await
                .expect("lists");
            assert!(page.items.len() <= 2);
            seen.extend(page.items);
            made += 1;
            shop.create(&priced(made, 4)).await;
            let Some(key) = page.next else { break };
            // What a client holds is text.
            let text = serde_json::to_string(&key).expect("serialises");
            request.after = Some(serde_json::from_str(&text).expect("parses"));
            assert!(made < 100, "the list ends");
        }
        let old: Vec<_> = seen
            .iter()
            .filter(|product| before.contains(product))
            .cloned()
            .collect();
        assert_eq!(old, before, "{sort}");
        let mut distinct = seen.clone();
        distinct.dedup_by_key(|product| product.id);
        assert_eq!(distinct.len(), seen.len(), "{sort}");
    }
    shop.close().await;
}

#[tokio::test]
async fn the_key_of_another_order_is_refused() {
    let shop = Shop::open().await;
    for n in 0..3 {
        shop.product(&format!("P{n}"), 1).await;
    }
    for sort in SORTS {
        let filter = ProductFilter::default();
        let first = shop
            .store
            .products_list(&filter, sort, &PageRequest::first(1))
            .await
            .expect("lists");
        for other in SORTS.into_iter().filter(|other| *other != sort) {
            let request = PageRequest {
                limit: 1,
                after: first.next.clone(),
            };
            let error = shop
                .store
                .products_list(&filter, other, &request)
                .await
                .expect_err("is refused");
            assert!(matches!(error, StoreError::PageKeyMismatch), "{error:?}");
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn the_ledger_is_listed_newest_first() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    for delta in 1..=4 {
        let mut draft = Draft::new(&shop);
        draft.adjust(mug.id, delta).await;
        shop.store.lane_commit(&draft.batch).await.expect("commits");
    }
    let mut request = PageRequest::first(2);
    let mut versions = Vec::new();
    loop {
        let page = shop.store.movements_list(mug.id, &request).await.expect("lists");
        versions.extend(
            page.items
                .iter()
                .map(|movement| (movement.level.version, movement.level.on_hand)),
        );
        let Some(key) = page.next else { break };
        request.after = Some(key);
    }
    assert_eq!(versions, [(5, 15), (4, 11), (3, 8), (2, 6), (1, 5)]);
    shop.close().await;
}
