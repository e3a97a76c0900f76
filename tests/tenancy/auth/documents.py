"""What the front ends send."""

SESSION = """session { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt
    member { id email name role } } userErrors { code field message }"""
SIGN_UP = f"mutation ($input: SignUpInput!) {{ signUp(input: $input) {{ {SESSION} }} }}"
LOGIN = f"mutation ($input: LoginInput!) {{ login(input: $input) {{ {SESSION} }} }}"
REFRESH = f"mutation ($input: RefreshSessionInput!) {{ refreshSession(input: $input) {{ {SESSION} }} }}"
SWITCH = f"mutation ($input: SwitchOrganizationInput!) {{ switchOrganization(input: $input) {{ {SESSION} }} }}"
RESET = f"mutation ($input: ResetPasswordInput!) {{ resetPassword(input: $input) {{ {SESSION} }} }}"
ACCEPT = f"mutation ($input: AcceptInvitationInput!) {{ acceptInvitation(input: $input) {{ {SESSION} }} }}"
LOGOUT = "mutation ($input: LogoutInput!) { logout(input: $input) { userErrors { code } } }"
REVOKE = """mutation ($input: RevokeSessionInput!) { revokeSession(input: $input) {
    activeSession { id isCurrent } userErrors { code field } } }"""
CHANGE = """mutation ($input: ChangePasswordInput!) { changePassword(input: $input) {
    userErrors { code field } } }"""
FORGOT = """mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) {
    userErrors { code field } } }"""
SESSIONS = "{ activeSessions { id userAgent ipAddress createdAt lastUsedAt isCurrent } }"
DEPARTMENTS = "{ departments { name } }"
