"""What the staff register refuses."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class PersonRegistered(Problem):
    """The person is in the register already."""

    kind, reason = Kind.DIFFERENT_EXISTS, "PERSON_REGISTERED"
    message = "The person is registered as {name}; link the account or grant the role there."
    message_zh = "该人员已登记为 {name}; 请在该条目下关联账号或授予角色。"


class AccountLinked(Problem):
    """The account belongs to a person already."""

    kind, reason = Kind.DIFFERENT_EXISTS, "ACCOUNT_LINKED"
    message = "The account {subject} belongs to {name}; unlink it there first."
    message_zh = "账号 {subject} 已属于 {name}; 请先在该条目下解除关联。"


class LastAccount(Problem):
    """A person needs an account to act."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LAST_ACCOUNT"
    message = "{subject} is the only account of {name}; revoke the roles, or link another first."
    message_zh = "{subject} 是 {name} 唯一的账号; 请先撤销角色或关联其他账号。"


class AccountNotLinked(Problem):
    """The account does not belong to the person."""

    kind, reason = Kind.NOT_FOUND, "ACCOUNT_NOT_LINKED"
    message = "{name} has no account {subject}; read the accounts with GetStaffMember."
    message_zh = "{name} 没有账号 {subject}; 请先查询该人员的账号。"


class AbsenceNotRecorded(Problem):
    """The person has no absence of exactly these days."""

    kind, reason = Kind.NOT_FOUND, "ABSENCE_NOT_RECORDED"
    message = "{name} has no absence from {first} to {last}; send the days as they were recorded."
    message_zh = "{name} 没有 {first} 至 {last} 的缺勤记录; 请按登记的起止日期填写。"


class RoleNotGrantable(Problem):
    """The role is not one of the register, or lacks or has a platform."""

    kind, reason = Kind.MALFORMED, "ROLE_NOT_GRANTABLE"
    message = "The role {role} cannot be granted so: {what}."
    message_zh = "无法授予角色 {role}: {what}。"


class GrantRevoked(Problem):
    """The grant was revoked before."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "GRANT_REVOKED"
    message = "{name} was revoked already; grant the role again if it is needed."
    message_zh = "{name} 已被撤销; 如仍需要请重新授予。"


class OwnGrant(Problem):
    """Nobody changes their own roles or accounts, nor signs such a change."""

    kind, reason = Kind.FORBIDDEN, "OWN_GRANT"
    message = "Your own roles and accounts are changed by another administrator; ask a colleague."
    message_zh = "本人的角色和账号须由其他管理员变更。"


class NotInvitable(Problem):
    """A platform cannot give its role to this person."""

    kind, reason = Kind.FORBIDDEN, "NOT_INVITABLE"
    message = "This person cannot be invited by a platform; ask the authority to grant the role."
    message_zh = "平台不能邀请该人员; 请由人社行政部门授予角色。"


class TooFewAdministrators(Problem):
    """The register needs administrators, or nobody could grant a role any more."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "TOO_FEW_ADMINISTRATORS"
    message = "At least {least} administrators must remain; grant the role to another person first."
    message_zh = "至少须保留 {least} 名管理员; 请先向其他人员授予该角色。"


class RegisterNotEmpty(Problem):
    """The first members are registered while nobody is in the register."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "REGISTER_NOT_EMPTY"
    message = "The staff register has members; use `oip staff register` and `oip staff grant`."
    message_zh = "人员名册中已有人员; 请使用 `oip staff register` 和 `oip staff grant`。"
