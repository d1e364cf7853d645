//! A shop that does what a test says.

use std::sync::{Arc, Mutex, PoisonError};

use holdfast_actors::{
    Error,
    client::{
        ClusterView, EventRecord, Freshness, Health, NodeState, NodeView, OrderFilter, Page, PageRequest, ProductFilter,
        ProductKey, ProductPosition, ProductSort, Read, Service, ShardView,
    },
    command::{
        Adjusted, Adjustment, CallContext, Done, LoggedIn, Login, Mutation, NewProduct, NewUser, PasswordChange, Payable,
        Refresh, StockTarget, UserChange,
    },
};
use holdfast_domain::{
    Caller, Email, Event, EventId, EventKind, JsonObject, Money, Movement, MovementId, MovementKind, NodeId, Operation,
    Order, OrderId, OrderLine, OrderStatus, Payment, Product, ProductId, ProductStatus, Refusal, Role, Session, SessionId,
    ShardId, Sku, StockLevel, Timestamp, User, UserId,
    id::Entropy,
    order::{Fulfilment, NewFulfilment, NewOrder, OrderPatch},
    payment::PaymentStatus,
    product::ProductPatch,
    session::TokenHash,
    stock::StockChange,
};

/// The version of everything that the fake makes.
pub(crate) const VERSION: i64 = 7;

const NOW: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

/// How the shop takes what it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Cannot be reached.
    Down,
    /// Does everything; a key that comes again is a replay.
    Serves,
    /// Refuses everything; a key that comes again is a replay of the refusal.
    Refuses(Refusal),
}

/// A shop that does what a test says.
#[derive(Clone)]
pub(crate) struct Shop(Arc<Mutex<State>>);

struct State {
    mood: Mood,
    operations: Vec<Operation>,
    freshness: Freshness,
    login: Option<Login>,
}

impl Shop {
    /// Makes a shop of this mood.
    pub(crate) fn new(mood: Mood) -> Self {
        Self(Arc::new(Mutex::new(State { mood, operations: Vec::new(), freshness: Freshness::default(), login: None })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the operations that were asked for, in order.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.with(|state| state.operations.clone())
    }

    /// Returns how fresh the last read was to be.
    pub(crate) fn freshness(&self) -> Freshness {
        self.with(|state| state.freshness)
    }

    /// Returns the last login.
    pub(crate) fn last_login(&self) -> Login {
        self.with(|state| state.login.clone()).expect("a login")
    }

    fn answer<T>(&self, value: T) -> Result<T, Error> {
        self.decide(value, false)
    }

    fn decide<T>(&self, value: T, replayed: bool) -> Result<T, Error> {
        match self.with(|state| state.mood.clone()) {
            Mood::Serves => Ok(value),
            Mood::Refuses(refusal) => Err(Error::Refused { refusal, replayed }),
            Mood::Down => {
                let retry_after = std::time::Duration::from_secs(1);
                Err(Error::Unavailable { retry_after, reason: "the test says so" })
            }
        }
    }

    fn done<T>(&self, mutation: &Mutation, value: T) -> Result<Done<T>, Error> {
        let operation = mutation.operation.clone();
        let replayed = self.with(|state| {
            let replayed = state.operations.iter().any(|earlier| earlier.key == operation.key);
            state.operations.push(operation);
            replayed
        });
        Ok(Done { value: self.decide(value, replayed)?, replayed })
    }

    fn read<T>(&self, freshness: Freshness, value: T) -> Result<Read<T>, Error> {
        self.with(|state| state.freshness = freshness);
        Ok(Read { value: self.answer(value)?, staleness_ms: 40 })
    }

    fn page<T, K>(&self, request: &PageRequest<K>, item: T, key: K) -> Result<Page<T, K>, Error> {
        // Two pages: the second begins after the first one's key.
        let next = request.after.is_none().then_some(key);
        self.answer(Page { items: vec![item], next })
    }
}

/// The methods of the real one.
impl Shop {
    pub(crate) fn now(&self) -> Timestamp {
        NOW
    }

    pub(crate) fn entropy(&self) -> Entropy {
        let mut entropy = [0; 10];
        aws_lc_rs::rand::fill(&mut entropy).expect("randomness");
        entropy
    }

    pub(crate) fn mint_user_id(&self, _: &Email) -> UserId {
        UserId::mint(NOW, self.entropy())
    }

    pub(crate) fn mint_session_id(&self, _: &Email) -> SessionId {
        SessionId::mint(NOW, self.entropy())
    }

    pub(crate) fn mint_order_id(&self, shard: ShardId) -> OrderId {
        OrderId::mint_in(shard, NOW, self.entropy())
    }

    pub(crate) async fn signing_keys(&self) -> Result<Vec<(String, String)>, Error> {
        self.answer(vec![("shared".to_owned(), crate::token::test_key())])
    }

    pub(crate) async fn access(&self, caller: &Caller) -> Result<Caller, Error> {
        Ok(*caller)
    }

    pub(crate) fn cluster(&self, caller: &Caller) -> Result<ClusterView, Error> {
        caller.require_admin()?;
        let node_id = NodeId(caller.user_id.0);
        let node = NodeView {
            node_id,
            name: "n1".to_owned(),
            state: NodeState::Active,
            roles: vec!["edge".to_owned()],
            api_addr: "127.0.0.1:8080".to_owned(),
            link_addr: "127.0.0.1:10080".to_owned(),
            heartbeat_age_ms: 120,
            connected: true,
        };
        let shard = ShardView { service: Service::Orders, shard: ShardId(17), owner: Some(node_id), epoch: 1 };
        self.answer(ClusterView { map_version: 12, node_id, nodes: vec![node], shards: vec![shard] })
    }

    pub(crate) async fn health(&self) -> Health {
        let is_well = self.answer(()).is_ok();
        Health { database: is_well, migrations: is_well, membership: is_well, draining: false }
    }

    pub(crate) async fn user_register(&self, mutation: &Mutation, new: NewUser) -> Result<Done<User>, Error> {
        let made = User { email: new.email, display_name: new.display_name, ..user(new.id) };
        self.done(mutation, made)
    }

    pub(crate) async fn login(&self, _: &CallContext, login: Login) -> Result<LoggedIn, Error> {
        let logged_in = LoggedIn { user: user(UserId::mint(NOW, [1; 10])), session_id: login.session_id };
        self.with(|state| state.login = Some(login));
        self.answer(logged_in)
    }

    pub(crate) async fn session_refresh(&self, _: &CallContext, _: Refresh) -> Result<User, Error> {
        self.answer(user(UserId::mint(NOW, [1; 10])))
    }

    pub(crate) async fn session_end(&self, _: &CallContext, _: &Caller, _: SessionId) -> Result<(), Error> {
        self.answer(())
    }

    pub(crate) async fn session_end_all(&self, mutation: &Mutation, _: &Caller) -> Result<(), Error> {
        self.done(mutation, ()).map(|_| ())
    }

    pub(crate) async fn user(&self, id: UserId) -> Result<User, Error> {
        self.answer(user(id))
    }

    pub(crate) async fn user_rename(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        display_name: String,
        expected_version: i64,
    ) -> Result<Done<User>, Error> {
        let version = expected_version + 1;
        self.done(mutation, User { display_name, version, ..user(caller.user_id) })
    }

    pub(crate) async fn password_change(
        &self,
        mutation: &Mutation,
        _: &Caller,
        _: PasswordChange,
    ) -> Result<Done<()>, Error> {
        self.done(mutation, ())
    }

    pub(crate) async fn sessions(
        &self,
        caller: &Caller,
        page: &PageRequest<SessionId>,
    ) -> Result<Page<Session, SessionId>, Error> {
        let session = Session {
            id: caller.session_id,
            user_id: caller.user_id,
            current: TokenHash([0; 32]),
            used: Vec::new(),
            created_at: NOW,
            last_used_at: NOW,
            expires_at: NOW,
            revoked_at: None,
            user_agent: "a test".to_owned(),
            ip: "127.0.0.1".to_owned(),
        };
        self.page(page, session, caller.session_id)
    }

    pub(crate) async fn users(
        &self,
        caller: &Caller,
        page: &PageRequest<UserId>,
    ) -> Result<Page<User, UserId>, Error> {
        self.page(page, user(caller.user_id), caller.user_id)
    }

    pub(crate) async fn user_change(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: UserId,
        change: UserChange,
    ) -> Result<Done<User>, Error> {
        let user = user(id);
        let (role, disabled) = (change.role.unwrap_or(user.role), change.disabled.unwrap_or(user.disabled));
        self.done(mutation, User { role, disabled, ..user })
    }

    pub(crate) async fn product_create(
        &self,
        mutation: &Mutation,
        _: &Caller,
        new: NewProduct,
    ) -> Result<Done<Product>, Error> {
        self.done(mutation, product(new.id))
    }

    pub(crate) async fn product(
        &self,
        _: &CallContext,
        _: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
    ) -> Result<Read<Product>, Error> {
        self.read(freshness, product(id))
    }

    pub(crate) async fn stock(
        &self,
        _: &CallContext,
        _: Option<&Caller>,
        id: ProductId,
        freshness: Freshness,
    ) -> Result<Read<StockLevel>, Error> {
        self.read(freshness, level(id))
    }

    pub(crate) async fn products(
        &self,
        _: &ProductFilter,
        sort: ProductSort,
        page: &PageRequest<ProductKey>,
    ) -> Result<Page<Product, ProductKey>, Error> {
        let product_id = ProductId::mint(NOW, [2; 10]);
        let position = match sort {
            ProductSort::Oldest | ProductSort::Newest => ProductPosition::CreatedAt(NOW),
            ProductSort::Cheapest | ProductSort::Dearest => ProductPosition::Price(1_999),
            ProductSort::Name => ProductPosition::Name("Mug".to_owned()),
        };
        self.page(page, product(product_id), ProductKey { sort, position, product_id })
    }

    pub(crate) async fn product_edit(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: ProductId,
        _: ProductPatch,
        expected_version: i64,
    ) -> Result<Done<Product>, Error> {
        self.done(mutation, Product { version: expected_version + 1, ..product(id) })
    }

    pub(crate) async fn product_archive(
        &self,
        mutation: &Mutation,
        _: &Caller,
        _: ProductId,
        _: i64,
    ) -> Result<Done<()>, Error> {
        self.done(mutation, ())
    }

    pub(crate) async fn stock_adjust(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: ProductId,
        adjustment: Adjustment,
    ) -> Result<Done<Adjusted>, Error> {
        self.done(mutation, Adjusted { movement_id: adjustment.movement_id, level: level(id) })
    }

    pub(crate) async fn stock_set(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: ProductId,
        target: StockTarget,
    ) -> Result<Done<StockLevel>, Error> {
        let version = target.expected_version + 1;
        self.done(mutation, StockLevel { on_hand: target.on_hand, version, ..level(id) })
    }

    pub(crate) async fn stock_movements(
        &self,
        caller: &Caller,
        id: ProductId,
        page: &PageRequest<i64>,
    ) -> Result<Page<Movement, i64>, Error> {
        let change = StockChange {
            movement_id: MovementId::mint(NOW, [3; 10]),
            kind: MovementKind::Initial,
            delta_on_hand: 100,
            delta_reserved: 0,
            order_id: None,
            reason: None,
            note: None,
            actor_id: caller.user_id,
            at: NOW,
        };
        self.page(page, Movement { change, level: level(id) }, VERSION)
    }

    pub(crate) async fn order_place(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        new: NewOrder,
    ) -> Result<Done<Order>, Error> {
        self.done(mutation, order(new.id, caller.user_id))
    }

    pub(crate) async fn order(
        &self,
        _: &CallContext,
        caller: &Caller,
        id: OrderId,
        freshness: Freshness,
    ) -> Result<Read<Order>, Error> {
        self.read(freshness, order(id, caller.user_id))
    }

    pub(crate) async fn orders(
        &self,
        caller: &Caller,
        _: OrderFilter,
        page: &PageRequest<OrderId>,
    ) -> Result<Page<Order, OrderId>, Error> {
        let id = OrderId::mint(NOW, [4; 10]);
        self.page(page, order(id, caller.user_id), id)
    }

    pub(crate) async fn order_events(
        &self,
        caller: &Caller,
        id: OrderId,
        page: &PageRequest<i64>,
    ) -> Result<Page<EventRecord, i64>, Error> {
        let event = Event {
            id: EventId::mint(NOW, [5; 10]),
            kind: EventKind::OrderPlaced,
            subject: id.0,
            sequence: 1,
            at: NOW,
            actor_id: Some(caller.user_id.0),
            data: JsonObject::empty(),
            trace_id: None,
        };
        self.page(page, EventRecord { event, node: "n1".to_owned(), epoch: 1 }, 1)
    }

    pub(crate) async fn order_edit(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        _: OrderPatch,
        expected_version: i64,
    ) -> Result<Done<Order>, Error> {
        self.done(mutation, Order { version: expected_version + 1, ..order(id, caller.user_id) })
    }

    pub(crate) async fn order_pay(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        payable: Payable,
    ) -> Result<Done<Payment>, Error> {
        let total = order(id, caller.user_id).total;
        let payment = Payment {
            id: payable.id,
            order_id: id,
            provider: payable.provider,
            status: PaymentStatus::Captured,
            amount: total,
            captured: total.amount,
            refunded: 0,
            created_at: NOW,
        };
        self.done(mutation, payment)
    }

    pub(crate) async fn order_cancel(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: OrderId,
        _: Option<String>,
    ) -> Result<Done<Order>, Error> {
        self.done(mutation, Order { status: OrderStatus::Cancelled, ..order(id, caller.user_id) })
    }

    pub(crate) async fn order_fulfil(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: OrderId,
        new: NewFulfilment,
    ) -> Result<Done<Fulfilment>, Error> {
        let NewFulfilment { id: fulfilment_id, lines, carrier, tracking } = new;
        self.done(mutation, Fulfilment { id: fulfilment_id, order_id: id, lines, carrier, tracking, created_at: NOW })
    }
}

fn user(id: UserId) -> User {
    User {
        id,
        email: Email::parse("ada@example.com").expect("an address"),
        display_name: "Ada".to_owned(),
        role: Role::Customer,
        email_verified: false,
        disabled: false,
        created_at: NOW,
        version: VERSION,
    }
}

fn product(id: ProductId) -> Product {
    Product {
        id,
        sku: Sku::parse("MUG-1").expect("a SKU"),
        name: "Mug".to_owned(),
        description: String::new(),
        price: price(),
        status: ProductStatus::Active,
        attributes: JsonObject::empty(),
        seller_id: UserId::mint(NOW, [6; 10]),
        low_stock_threshold: None,
        created_at: NOW,
        updated_at: NOW,
        version: VERSION,
    }
}

fn price() -> Money {
    Money::new(1_999, "EUR".parse().expect("a currency"))
}

fn level(product_id: ProductId) -> StockLevel {
    StockLevel { product_id, on_hand: 100, reserved: 3, version: VERSION }
}

fn order(id: OrderId, customer_id: UserId) -> Order {
    let product = product(ProductId::mint(NOW, [2; 10]));
    let line = OrderLine {
        product_id: product.id,
        sku: product.sku,
        name: product.name,
        seller_id: product.seller_id,
        quantity: 1,
        unit_price: price(),
        line_total: price(),
        fulfilled: 0,
        returned: 0,
    };
    Order {
        id,
        status: OrderStatus::PendingPayment,
        lines: vec![line],
        total: price(),
        customer_id,
        shipping_address: None,
        note: None,
        payment: None,
        expires_at: Some(NOW),
        created_at: NOW,
        updated_at: NOW,
        version: VERSION,
    }
}
