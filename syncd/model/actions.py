"""Remedies for denials of actions that one call needs beside its own, such as sts:TagSession for AssumeRole."""

_REMEDIES: dict[str, str] = {
    "sts:TagSession": (
        "allow sts:TagSession beside sts:AssumeRole in the role's trust policy and in the consumer's own policy: the session"
        " gets tags from source.role.tags, or from the consumer's credentials, whose transitive tags go along (as on EKS with"
        " Pod Identity); `syncd policies JOB` prints both"
    ),
    "sts:SetSourceIdentity": (
        "allow sts:SetSourceIdentity beside sts:AssumeRole in the role's trust policy and in the consumer's own policy: the"
        " session gets a source identity from source.role.source_identity, or from the consumer's credentials, which pass"
        " theirs on; if the trust policy has a condition on it, give the identity that its owner asks for"
    ),
    "s3:PutObjectTagging": (
        "allow s3:PutObjectTagging beside s3:PutObject in the policy of the principal named here, since destination.tags or"
        " destination.copy_tags puts tags on replicas, or remove that key: `syncd policies JOB` prints the statement"
    ),
    "s3:PutObjectAcl": (
        "allow s3:PutObjectAcl beside s3:PutObject in the policy of the principal named here, since destination.acl gives"
        " replicas an ACL, or remove that key: `syncd policies JOB` prints the statement"
    ),
    "s3:GetObjectTagging": (
        "allow s3:GetObjectTagging beside s3:GetObject in the policy of the principal named here, since"
        " destination.copy_tags reads the source's tags, or remove that key: `syncd policies JOB` prints the statement"
    ),
}


def remedy_of_action(action: str) -> str:
    """Return the remedy for a denial of an action that a call needs beside its own. Empty for no action."""
    if not action:
        return ""
    known = {name.lower(): remedy for name, remedy in _REMEDIES.items()}
    return known.get(action.lower()) or (
        f"allow {action}, which this call needs beside its own action, in the policy of the principal named here and in"
        " that of the resource, or meet the condition of the Deny that is named here: `syncd check JOB` tells more"
    )
