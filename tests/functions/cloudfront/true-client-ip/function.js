// The viewer's address for an origin that asks for it under this name.
function handler(event) {
    var request = event.request;
    var clientIP = event.viewer.ip;

    request.headers['true-client-ip'] = { value: clientIP };
    return request;
}
