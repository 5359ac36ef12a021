use edgeweir_sdk::viewer_request;

#[viewer_request]
struct Hook;
