//! Every end-to-end test is told once and runs on both shapes.

/// `on_both_shapes!(a, b)` makes the tests `embedded::a`, `clustered::a`, `embedded::b` and `clustered::b` of the functions
/// `async fn a(rig: &Rig)` and `b` beside it, on the installations that the whole binary shares.
#[macro_export]
macro_rules! on_both_shapes {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::embedded()).await;
            })+
        }
        mod clustered {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::clustered()).await;
            })+
        }
    };
}

/// The same on installations behind a trusted proxy and with low limits: see [`crate::Rig::guarded_embedded`].
#[macro_export]
macro_rules! on_both_guarded_shapes {
    ($($name:ident),+ $(,)?) => {
        mod embedded_guarded {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::guarded_embedded()).await;
            })+
        }
        mod clustered_guarded {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::guarded_clustered()).await;
            })+
        }
    };
}

/// The same on the installations for people: see [`crate::Rig::people_embedded`].
#[macro_export]
macro_rules! on_both_peoples_shapes {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::people_embedded()).await;
            })+
        }
        mod clustered {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::people_clustered()).await;
            })+
        }
    };
}
