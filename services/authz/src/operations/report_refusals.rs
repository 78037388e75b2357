//! ReportRefusals: counts refusals of callers nobody knows, each report once.

use super::Authz;
use crate::store::{self, RefusalCount};
use beem_fault::Result;
use uuid::Uuid;

pub(crate) async fn report_refusals(authz: &Authz, report: Uuid, counts: &RefusalCount) -> Result<()> {
    authz.database.write(|tx| Box::pin(store::count(tx, report, counts))).await
}
