//! The tables as sea-orm reads them. They match `migrations.rs` column by column; nothing but the store sees them.

pub mod accounts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "accounts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub name: String,
        pub base_currency: String,
        pub role_grant_policy: String,
        pub network_fee_payer: String,
        pub owner_email: String,
        pub changing: Option<Uuid>,
        pub effect_key: String,
        pub first_principal_id: Uuid,
        pub first_client_id: Uuid,
        pub created_ms: i64,
        /// The Owner's principal id; None only in the moment before there is one.
        pub owner_id: Option<Uuid>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod clients {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "clients")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub client_id: Uuid,
        pub account_id: Uuid,
        pub name: String,
        /// A JSON array of CIDRs.
        pub network_whitelist: String,
        pub public_key: String,
        pub key_algorithm: String,
        pub key_fingerprint: String,
        pub retiring_public_key: Option<String>,
        pub retiring_algorithm: Option<String>,
        pub retiring_fingerprint: Option<String>,
        pub retiring_not_after_ms: Option<i64>,
        pub credential_version: i64,
        pub changing: Option<Uuid>,
        pub created_by: Option<Uuid>,
        pub created_ms: i64,
        pub deleted_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod client_uses {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "client_uses")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub principal_id: Uuid,
        pub first_ms: i64,
        pub first_address: String,
        pub last_ms: i64,
        pub last_address: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod users {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub email: String,
        /// Lower-cased: what is unique and what sign-ins look up.
        pub email_folded: String,
        pub first_name: String,
        pub last_name: String,
        /// A JSON array of CIDRs.
        pub network_whitelist: String,
        /// False while the address is only reserved.
        pub made: bool,
        /// PHC string of argon2id.
        pub password_hash: Option<String>,
        /// The TOTP key, sealed.
        pub totp: Option<Vec<u8>>,
        /// The last time step a code was used of; an earlier or equal one is refused.
        pub totp_step: i64,
        pub credential_version: i64,
        pub changing: Option<Uuid>,
        pub created_by: Option<Uuid>,
        pub created_ms: i64,
        pub activated_ms: Option<i64>,
        pub deleted_ms: Option<i64>,
        pub signed_in_ms: Option<i64>,
        pub signed_in_address: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod sessions {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sessions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// SHA-256 of the token's text.
        pub token_hash: Vec<u8>,
        pub user_id: Uuid,
        pub account_id: Uuid,
        pub created_ms: i64,
        pub expires_ms: i64,
        pub used_ms: i64,
        pub address: String,
        pub user_agent: String,
        pub ended_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
