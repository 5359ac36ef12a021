// Folders get their index.html, and routes of the application the one at the root.
function handler(event) {
    var request = event.request;
    var uri = request.uri;

    if (uri.endsWith('/')) {
        request.uri += 'index.html';
    } else if (!uri.includes('.', uri.lastIndexOf('/'))) {
        request.uri = uri.startsWith('/app/') ? '/app/index.html' : uri + '/index.html';
    }
    return request;
}
