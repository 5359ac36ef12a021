// What goes wrong goes wrong: an exception is 503 for the viewer.
function handler(event) {
    var token = event.request.headers['x-token'].value;
    if (token.length < 3) {
        throw new TypeError('token too short: ' + token.length);
    }
    return event.request;
}
