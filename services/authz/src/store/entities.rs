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
