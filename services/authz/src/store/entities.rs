//! Rows, as sea-orm reads and writes them.

pub mod accounts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "accounts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub role_grant_policy: String,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod standings {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "standings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub principal_id: Uuid,
        pub account_id: Uuid,
        pub kind: String,
        pub enabled: bool,
        pub deleted: bool,
        pub active: bool,
        pub roles: i64,
        pub version: i64,
        pub credential_version: i64,
        /// The last version that reached the cache; 0 for none.
        pub published_version: i64,
        pub created_by: Option<Uuid>,
        pub rekeyed_by: Option<Uuid>,
        pub granted_by: Option<Uuid>,
        pub created_ms: i64,
        pub changed_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod prepared_changes {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "prepared_changes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub effect_key: String,
        pub account_id: Uuid,
        pub principal_id: Uuid,
        pub actor_id: Option<Uuid>,
        /// What is left to add; later changes take from it while it is open.
        pub add_roles: i64,
        pub enable: bool,
        pub prepared_ms: i64,
        pub committed_ms: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod audit_events {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sequence: i64,
        pub id: Uuid,
        pub time_ms: i64,
        pub actor_id: String,
        pub actor_kind: String,
        pub actor_name: String,
        pub action: String,
        pub target_type: String,
        pub target_id: String,
        pub outcome: String,
        pub before: String,
        pub after: String,
        pub address: String,
        pub key_fingerprint: String,
        pub request_id: String,
        pub hash: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod audit_chains {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_chains")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        pub sequence: i64,
        pub hash: Vec<u8>,
        /// The newest head; 0 before the first.
        pub signed_sequence: i64,
        pub signed_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod audit_heads {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_heads")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sequence: i64,
        pub hash: Vec<u8>,
        pub time_ms: i64,
        pub signature: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod refusal_counts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "refusal_counts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub address: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub minute_s: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub count: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
