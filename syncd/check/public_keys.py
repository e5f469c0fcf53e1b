"""The step of `check` that looks up the public keys of digests."""

from botocore.exceptions import BotoCoreError, ClientError

from syncd.aws.endpoint import Principal
from syncd.aws.policies import statements
from syncd.check.remedies import Remedies
from syncd.check.result import Check, Status, not_tried
from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.model.errors import JobFailed
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.verify.keystore import asks_aws, keys_of_region

PUBLIC_KEYS = "public-keys"
_DENIED = (401, 403)
_OTHERWISE = "without them, give `syncd verify` the keys with --keys"


def public_keys_check(job: Job, reader: Principal, installation: Installation, remedies: Remedies) -> Check:
    """Look up the keys of the source's region. No tick depends on them, so a denial is a warning."""
    if not statements.proving(job):
        return not_tried(PUBLIC_KEYS, "the job copies no digests")
    if not asks_aws(job):
        return not_tried(PUBLIC_KEYS, "the source is another server than AWS's, and endpoints.cloudtrail is not set")
    region, now = job.source.region, installation.now()
    call = f"ListPublicKeys in {region} by {reader.name}"
    try:
        found = keys_of_region(job, installation, reader, region, (now - DAY_SECONDS, now))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in _DENIED:
            return Check(PUBLIC_KEYS, Status.WARNING, f"{call}: {error}", remedies.proving())
        return Check(PUBLIC_KEYS, Status.INFORMATION, f"{call}: {error}; {_OTHERWISE}")
    except (BotoCoreError, JobFailed, ValueError, KeyError) as error:
        return Check(PUBLIC_KEYS, Status.INFORMATION, f"{call}: {error}; {_OTHERWISE}")
    return Check(PUBLIC_KEYS, Status.OK, f"{call}: {len(found)} valid now, which `syncd verify` checks digests with")
