//! Who is asking, and what they may see and do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Order, Product, ProductStatus, Refusal, SessionId, UserId};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Buys, and sells own products.
    Seller,
    /// Runs the shop.
    Admin,
}

impl Role {
    /// Returns the role's name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Seller => "seller",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be customer, seller or admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Customer, Self::Seller, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// A signed-in caller, as their verified access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The account.
    pub user_id: UserId,
    /// The session that the token belongs to.
    pub session_id: SessionId,
    /// The account's role.
    pub role: Role,
}

impl Caller {
    /// Tells whether the caller runs the shop.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Refuses unless the caller runs the shop.
    pub fn require_admin(&self) -> Result<(), Refusal> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// Refuses unless the caller may sell.
    pub fn require_seller(&self) -> Result<(), Refusal> {
        match self.role {
            Role::Seller | Role::Admin => Ok(()),
            Role::Customer => Err(Refusal::Forbidden),
        }
    }
}

/// Tells whether `viewer` (`None`: not signed in) may see a product.
///
/// Active products are public; drafts and archived ones are for their seller and admins.
pub fn may_see_product(viewer: Option<&Caller>, product: &Product) -> bool {
    product.status == ProductStatus::Active || viewer.is_some_and(|caller| may_edit_product(caller, product))
}

/// Tells whether `caller` may edit a product and its stock.
///
/// A seller who has lost that role may no longer edit what they once listed.
pub fn may_edit_product(caller: &Caller, product: &Product) -> bool {
    match caller.role {
        Role::Admin => true,
        Role::Seller => caller.user_id == product.seller_id,
        Role::Customer => false,
    }
}

/// How a caller stands to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderView {
    /// Sees everything: the order's customer, or an admin.
    Whole,
    /// Sees and acts on the lines of this seller only.
    SellerLines(UserId),
}

/// Tells how `caller` may see an order; `None`: not at all.
pub fn order_view(caller: &Caller, order: &Order) -> Option<OrderView> {
    if caller.is_admin() || caller.user_id == order.customer_id {
        return Some(OrderView::Whole);
    }
    let sells =
        caller.role == Role::Seller && order.lines.iter().any(|line| line.seller_id == caller.user_id);
    sells.then_some(OrderView::SellerLines(caller.user_id))
}
